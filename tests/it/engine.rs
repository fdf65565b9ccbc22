//! The engine against real daemons, below the command line.

use std::{collections::BTreeMap, path::Path};

use peelbox::{
    control::DaemonError,
    grpc::{Cancel, Code, Status, frame},
    pb::llb,
    session::SessionId,
    solve::{Answer, Connection, Host, Job, News, SolveError, run},
    transport::connect_unix,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::support::{daemon, fake::listen};

fn open(address: &str) -> Result<Connection, DaemonError> {
    let path = address.strip_prefix("unix://").unwrap();
    let socket = connect_unix(Path::new(path)).unwrap();
    Connection::open(socket, "localhost", &Cancel::default())
}

/// One file on scratch.
fn small_graph(text: &str) -> llb::Definition {
    let action = llb::FileAction {
        input: -1,
        secondary_input: -1,
        output: 0,
        action: Some(llb::file_action::Action::Mkfile(llb::FileActionMkFile {
            path: "/hello".into(),
            mode: 0o644,
            data: text.as_bytes().to_vec(),
            owner: None,
            timestamp: -1,
        })),
    };
    let op = llb::Op {
        op: Some(llb::op::Op::File(llb::FileOp { actions: vec![action] })),
        ..llb::Op::default()
    };
    let bytes = op.encode_to_vec();
    let digest = format!(
        "sha256:{}",
        Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>()
    );
    let last = llb::Op { inputs: vec![llb::Input { digest, index: 0 }], ..llb::Op::default() };
    llb::Definition { def: vec![bytes, last.encode_to_vec()], metadata: BTreeMap::new() }
}

fn host(name: &str) -> Host {
    Host {
        session: SessionId(format!("ses{name}{}", std::process::id())),
        shared_key: String::new(),
        services: Vec::new(),
    }
}

fn job(name: &str) -> Job {
    Job {
        reference: format!("ref{name}{}", std::process::id()),
        exporter: None,
        frontend_attrs: BTreeMap::new(),
        internal: true,
    }
}

#[test]
fn every_supported_daemon_solves_a_graph_and_tells_of_its_steps() {
    for address in [daemon::newest(), daemon::oldest()] {
        let connection = open(&address).unwrap();
        assert!(!connection.daemon.workers[0].platforms.is_empty());
        let (news, rx) = listen();
        let answer =
            run(&connection, host("small"), job("small"), &news, &Cancel::default(), |running| {
                let reference = running.gateway.solve(small_graph("hi"))?;
                assert_eq!(running.gateway.read_file(&reference, "/hello")?, b"hi");
                Ok::<_, Status>(Answer {
                    reference,
                    metadata: BTreeMap::new(),
                    attestations: BTreeMap::new(),
                })
            });
        answer.unwrap();
        drop(news);
        let names: Vec<String> = rx
            .iter()
            .flat_map(|news| match news {
                News::Update(update) => update.vertexes.clone(),
                News::Clock(clock) => {
                    assert!(clock.as_secs() > 1_700_000_000, "{clock:?}");
                    Vec::new()
                }
                News::Restarted => panic!("the status stream was lost"),
            })
            .map(|v| v.name)
            .collect();
        assert!(names.iter().any(|n| n.contains("hello")), "{names:?}");
    }
}

#[test]
fn a_daemon_without_info_is_too_old() {
    let error = open(&daemon::too_old()).unwrap_err();
    assert!(matches!(error, DaemonError::TooOld { version: None }), "{error:?}");
}

#[test]
fn what_the_frontend_says_is_what_the_caller_hears() {
    let connection = open(&daemon::newest()).unwrap();
    let (news, rx) = listen();
    let result = run(&connection, host("giveup"), job("giveup"), &news, &Cancel::default(), |_| {
        Err("no idea")
    });
    assert!(matches!(result, Err(SolveError::Frontend("no idea"))), "{result:?}");
    drop((news, rx));
}

#[test]
fn a_cancelled_build_ends_at_once_and_is_called_cancelled() {
    let connection = open(&daemon::newest()).unwrap();
    let (news, rx) = listen();
    let cancel = Cancel::default();
    let result = run(&connection, host("cancel"), job("cancel"), &news, &cancel, |running| {
        cancel.cancel();
        // Answered only when the build is over.
        running.gateway.ping()?.wait().map(drop)?;
        std::thread::park_timeout(std::time::Duration::from_millis(50));
        running.gateway.ping()?.wait()?;
        Err::<Answer, Status>(Status::protocol("the gateway outlived its build"))
    });
    assert!(matches!(result, Err(SolveError::Cancelled)), "{result:?}");
    drop((news, rx));
}

#[test]
fn a_build_that_was_cancelled_before_it_began_is_called_cancelled() {
    let connection = open(&daemon::newest()).unwrap();
    let (news, _rx) = listen();
    let cancel = Cancel::default();
    cancel.cancel();
    let result = run(&connection, host("early"), job("early"), &news, &cancel, |_| {
        Err::<Answer, Status>(Status::protocol("the frontend was asked"))
    });
    assert!(matches!(result, Err(SolveError::Cancelled)), "{result:?}");
}

#[test]
fn an_exporter_the_daemon_lacks_fails_with_its_name() {
    let connection = open(&daemon::newest()).unwrap();
    let (news, rx) = listen();
    let exporter = peelbox::solve::Exporter { name: "nonsense".into(), attrs: BTreeMap::new() };
    let job = Job { exporter: Some(exporter), ..job("nonsense") };
    let result = run(&connection, host("nonsense"), job, &news, &Cancel::default(), |running| {
        let reference = running.gateway.solve(small_graph("x"))?;
        Ok::<_, Status>(Answer {
            reference,
            metadata: BTreeMap::new(),
            attestations: BTreeMap::new(),
        })
    });
    let Err(SolveError::Daemon(status)) = result else { panic!("{result:?}") };
    assert!(status.message.contains("nonsense"), "{status:?}");
    drop((news, rx));
}

#[test]
fn a_graph_that_no_daemon_would_take_is_not_sent() {
    let connection = open(&daemon::newest()).unwrap();
    let (news, _rx) = listen();
    let result =
        run(&connection, host("large"), job("large"), &news, &Cancel::default(), |running| {
            let definition = llb::Definition { def: vec![vec![0; 5 << 20]], ..Default::default() };
            let reference = running.gateway.solve(definition)?;
            Ok::<_, Status>(Answer {
                reference,
                metadata: BTreeMap::new(),
                attestations: BTreeMap::new(),
            })
        });
    let Err(SolveError::Frontend(status)) = result else { panic!("{result:?}") };
    assert_eq!(status.code, Code::ResourceExhausted);
    assert!(status.message.contains("the limit is 4194304"), "{status}");
}

#[test]
fn a_peer_that_is_no_buildkit_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::Builder::new()
        .spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut buf = [0; 1024];
            let _ = stream.read(&mut buf).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
            // Until the client gives up.
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest));
        })
        .unwrap();
    let error = open(&format!("unix://{}", path.display())).unwrap_err();
    assert!(matches!(error, DaemonError::Call(_)), "{error:?}");
    server.join().unwrap();
}

#[test]
fn frames_of_ours_are_frames() {
    let message = peelbox::pb::control::BytesMessage { data: vec![7; 300].into() };
    let mut buf = bytes::BytesMut::from(&frame::encode(&message)[..]);
    let got = frame::split_message(&mut buf, 1 << 20).unwrap().unwrap();
    assert_eq!(peelbox::pb::control::BytesMessage::decode(got).unwrap(), message);
}
