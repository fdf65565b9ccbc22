//! The context over a session of the fake daemon: slow, tiny, rude receivers.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use peelbox::{
    grpc::{CallOptions, Channel, Code, Service, Status, client::Responses, stream::Sender},
    pb::{
        fsutil::{Packet, packet::PacketType},
        health::{HealthCheckRequest, HealthCheckResponse},
    },
    session::{
        Failure, RootCause,
        context::{Context, Folders, UploadSink},
        filesync::Root,
    },
    solve::SolveError,
};
use prost::Message as _;

use crate::support::fake::{Fake, PATIENCE, Script, Stage, build};

/// A served folder and what its service knew in the end.
struct Served {
    context: Arc<dyn Service>,
    root_cause: RootCause,
    upload: UploadSink,
}

fn serve(dir: &Path) -> Served {
    let (root_cause, upload): (_, UploadSink) = (RootCause::default(), Arc::new(drop));
    let root = Arc::new(Root::open(dir).unwrap());
    let context = Context::new("context", root, Arc::clone(&upload), root_cause.clone());
    Served {
        context: Arc::new(Folders::new(Arc::new(context), Arc::default())),
        root_cause,
        upload,
    }
}

fn diff_copy(session: &Channel, name: &str) -> Result<(Sender, Responses), Status> {
    let mut metadata = HeaderMap::new();
    metadata.insert("dir-name", name.parse().unwrap());
    let options = CallOptions { metadata, ..CallOptions::default() };
    session.open("/moby.filesync.v1.FileSync/DiffCopy", options)
}

fn ask(sender: &mut Sender, kind: PacketType, id: u32) -> Result<(), Status> {
    sender.message(&Packet { r#type: kind.into(), id, ..Packet::default() })
}

/// Reads packets until `wanted` says enough.
fn read_until(
    answers: &mut Responses,
    mut enough: impl FnMut(&Packet) -> bool,
) -> Result<(), Status> {
    while let Some(raw) = answers.receive()? {
        let packet = Packet::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
        if enough(&packet) {
            return Ok(());
        }
    }
    Err(Status::protocol("the transfer ended early"))
}

fn is_last_stat(packet: &Packet) -> bool {
    packet.r#type == PacketType::Stat as i32 && packet.stat.is_none()
}

fn check_health(session: &Channel) {
    let begun = Instant::now();
    let options = CallOptions { timeout: Some(PATIENCE), ..CallOptions::default() };
    let answer: HealthCheckResponse = session
        .unary("/grpc.health.v1.Health/Check", &HealthCheckRequest::default(), options)
        .unwrap();
    assert_eq!(answer.status, 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

fn returned(stage: &Stage) {
    stage.returned.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn health_is_answered_while_megabytes_wait_for_a_receiver_that_does_not_read() {
    const SIZE: usize = 20 << 20;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big"), vec![7; SIZE]).unwrap();
    for window in [1, 1000, 65_535] {
        let served = serve(dir.path());
        let script = Script {
            session_window_bytes: Some(window),
            solve: Box::new(move |stage| {
                let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
                read_until(&mut answers, |packet| packet.stat.is_some())?;
                ask(&mut sender, PacketType::Req, 0)?;
                // The data now waits for room.
                for _ in 0..5 {
                    check_health(&stage.session);
                }
                // A window of one byte makes millions of frames: enough was shown.
                if window > 1 {
                    let mut received = 0;
                    read_until(&mut answers, |packet| {
                        received += packet.data.len();
                        received == SIZE && packet.data.is_empty()
                    })?;
                    ask(&mut sender, PacketType::Fin, 0)?;
                    read_until(&mut answers, |p| p.r#type == PacketType::Fin as i32)?;
                    assert!(answers.receive()?.is_none());
                }
                returned(stage);
                Ok(())
            }),
            ..Script::default()
        };
        let (socket, _fake) = Fake::start(script);
        let (outcome, _) = build(socket, vec![served.context]);
        outcome.unwrap().unwrap();
    }
}

#[test]
fn another_folder_than_the_context_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path());
    let (socket, _fake) = Fake::start(Script {
        solve: Box::new(|stage| {
            let (_sender, mut answers) = diff_copy(&stage.session, "home")?;
            assert_eq!(answers.receive().unwrap_err().code, Code::NotFound);
            returned(stage);
            Ok(())
        }),
        ..Script::default()
    });
    build(socket, vec![served.context]).0.unwrap().unwrap();
}

#[test]
fn a_file_asked_for_twice_ends_the_transfer_and_says_who_is_to_blame() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let served = serve(dir.path());
    let (socket, _fake) = Fake::start(Script {
        solve: Box::new(|stage| {
            let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
            read_until(&mut answers, is_last_stat)?;
            ask(&mut sender, PacketType::Req, 0)?;
            ask(&mut sender, PacketType::Req, 0)?;
            read_until(&mut answers, |p| p.r#type == PacketType::Err as i32)?;
            let end = answers.receive().unwrap_err();
            Err(Status::new(Code::Unknown, format!("context canceled after {end}")))
        }),
        ..Script::default()
    });
    let (outcome, _) = build(socket, vec![served.context]);
    assert!(outcome.unwrap().is_err());
    assert!(matches!(served.root_cause.take(), Some(Failure::Context(_))));
}

#[test]
fn a_receiver_that_resets_the_transfer_leaves_no_thread_behind() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..2000 {
        fs::write(dir.path().join(format!("file-{n}")), vec![0; 4096]).unwrap();
    }
    let served = serve(dir.path());
    let (socket, _fake) = Fake::start(Script {
        session_window_bytes: Some(4096),
        solve: Box::new(|stage| {
            let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
            read_until(&mut answers, |_| true)?;
            sender.reset(h2::Reason::CANCEL);
            drop((sender, answers));
            // The same session serves the next transfer as if nothing had been.
            let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
            let mut entries = 0;
            read_until(&mut answers, |packet| {
                entries += usize::from(packet.stat.is_some());
                is_last_stat(packet)
            })?;
            assert_eq!(entries, 2000);
            ask(&mut sender, PacketType::Fin, 0)?;
            read_until(&mut answers, |p| p.r#type == PacketType::Fin as i32)?;
            returned(stage);
            Ok(())
        }),
        ..Script::default()
    });
    build(socket, vec![served.context.clone()]).0.unwrap().unwrap();
    // The service's threads hold it: all of them end.
    let begun = Instant::now();
    while Arc::strong_count(&served.upload) > 2 || Arc::strong_count(&served.context) > 1 {
        assert!(begun.elapsed() < PATIENCE, "a call still runs");
        std::thread::yield_now();
    }
}

/// Plays `rudeness` right after the call began; the transfer must end with an error that both sides hear.
fn check_refused(rudeness: &'static [(PacketType, u32)], expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    fs::write(dir.path().join("folder/file"), "text").unwrap();
    let served = serve(dir.path());
    let (socket, _fake) = Fake::start(Script {
        solve: Box::new(move |stage| {
            let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
            for (kind, id) in rudeness {
                ask(&mut sender, *kind, *id)?;
            }
            read_until(&mut answers, |p| p.r#type == PacketType::Err as i32)?;
            Err(Status::new(Code::Unknown, format!("context canceled: {:?}", answers.receive())))
        }),
        ..Script::default()
    });
    let (outcome, _) = build(socket, vec![served.context]);
    assert!(outcome.unwrap().is_err());
    let Some(Failure::Context(error)) = served.root_cause.take() else { panic!("{rudeness:?}") };
    assert!(error.to_string().contains(expected), "{rudeness:?}: {error}");
}

#[test]
fn packets_in_a_wrong_order_are_refused_by_name() {
    check_refused(&[(PacketType::Req, 0)], "0");
    check_refused(&[(PacketType::Req, 7)], "7");
}

#[test]
fn a_transfer_that_the_daemon_gives_up_is_no_failure_of_the_context() {
    type End = fn(&mut Sender) -> Result<(), Status>;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), vec![0; 1 << 20]).unwrap();
    let ends: [End; 3] = [
        |sender| ask(sender, PacketType::Err, 0),
        |sender| {
            sender.reset(h2::Reason::CANCEL);
            Ok(())
        },
        |sender| {
            sender.close();
            Ok(())
        },
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let served = serve(dir.path());
        let (socket, _fake) = Fake::start(Script {
            session_window_bytes: Some(4096),
            solve: Box::new(move |stage| {
                let (mut sender, mut answers) = diff_copy(&stage.session, "context")?;
                read_until(&mut answers, is_last_stat)?;
                end(&mut sender)?;
                while let Ok(Some(_)) = answers.receive() {}
                Err(Status::new(Code::Unknown, "another step failed"))
            }),
            ..Script::default()
        });
        let (outcome, _) = build(socket, vec![served.context.clone()]);
        let Err(SolveError::Daemon(status)) = outcome.unwrap() else { panic!("end {index}") };
        assert_eq!(status.message, "another step failed");
        let begun = Instant::now();
        while Arc::strong_count(&served.context) > 1 {
            assert!(begun.elapsed() < PATIENCE, "the call still runs");
            std::thread::yield_now();
        }
        assert!(served.root_cause.take().is_none(), "end {index}");
    }
}
