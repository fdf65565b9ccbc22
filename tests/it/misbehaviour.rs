//! What real daemons do not do: cuts, resets, tiny windows, unknown calls. None may hang or panic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use h2::Reason;
use peelbox::{
    control::DaemonError,
    grpc::{Call, CallOptions, Code, Service, Status},
    pb::health::{HealthCheckRequest, HealthCheckResponse},
    solve::{News, Patience, SolveError},
};

use crate::support::fake::{
    FAKE_DIGEST, Fake, Outcome, PATIENCE, Script, Stage, answer_headers, build, build_with,
};

/// A whole build against a script.
fn play(script: Script) -> (Outcome, Vec<News>) {
    let (socket, _fake) = Fake::start(script);
    let (outcome, news) = build(socket, Vec::new());
    (outcome.unwrap(), news)
}

fn solve(body: impl Fn(&Stage) -> Result<(), Status> + Send + Sync + 'static) -> Script {
    Script { solve: Box::new(body), ..Script::default() }
}

fn returned(stage: &Stage) {
    let request = stage.returned.recv_timeout(PATIENCE).unwrap();
    assert!(request.error.is_none(), "{request:?}");
}

#[test]
fn a_good_daemon_gives_a_good_end() {
    let (outcome, news) = play(solve(|stage| {
        returned(stage);
        Ok(())
    }));
    assert_eq!(outcome.unwrap()["containerimage.digest"], FAKE_DIGEST);
    assert!(matches!(&news[..], [News::Update(u)] if u.vertexes[0].name == "one"), "{news:?}");
}

#[test]
fn the_session_answers_health_and_refuses_what_it_does_not_serve() {
    let (outcome, _) = play(solve(|stage| {
        let health: HealthCheckResponse = stage.session.unary(
            "/grpc.health.v1.Health/Check",
            &HealthCheckRequest::default(),
            CallOptions::default(),
        )?;
        assert_eq!(health.status, 1);
        let unknown: Result<HealthCheckResponse, _> = stage.session.unary(
            "/some.Service/Unknown",
            &HealthCheckRequest::default(),
            CallOptions::default(),
        );
        assert_eq!(unknown.unwrap_err().code, Code::Unimplemented);
        returned(stage);
        Ok(())
    }));
    outcome.unwrap();
}

#[test]
fn a_wire_cut_after_any_number_of_bytes_ends_the_build_soon() {
    for bytes in (0..400).step_by(7) {
        let begun = Instant::now();
        let (socket, _fake) = Fake::start_cut(
            solve(|stage| {
                // Keeps the build open until the cut is felt.
                drop(stage.session.unary::<HealthCheckResponse>(
                    "/grpc.health.v1.Health/Check",
                    &HealthCheckRequest { service: "x".repeat(500) },
                    CallOptions { timeout: Some(Duration::from_secs(1)), ..CallOptions::default() },
                ));
                returned(stage);
                Ok(())
            }),
            bytes,
        );
        let (outcome, _) = build(socket, Vec::new());
        if let Ok(Err(error)) = &outcome {
            let SolveError::Daemon(status) = error else { panic!("cut at {bytes}: {error:?}") };
            assert!(status.is_transport, "cut at {bytes}: {status:?}");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "cut at {bytes} took {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_go_away_in_the_middle_of_a_build_is_told_as_the_daemons_doing() {
    let (outcome, _) = play(solve(|stage| {
        returned(stage);
        stage.go_away(Reason::ENHANCE_YOUR_CALM);
        std::thread::park_timeout(PATIENCE);
        Ok(())
    }));
    let Err(SolveError::Daemon(status)) = outcome else { panic!("{outcome:?}") };
    assert!(status.is_transport, "{status:?}");
}

/// A call of the gateway that is never answered.
fn unanswered(method: &'static str, solve: Script) -> Script {
    Script { intercept: Box::new(move |path, _| !path.ends_with(method)), ..solve }
}

#[test]
fn a_daemon_that_is_shutting_down_ends_a_build_that_has_calls_to_make() {
    let (outcome, _) = play(unanswered(
        "LLBBridge/Solve",
        solve(|stage| {
            stage.go_away(Reason::NO_ERROR);
            // The end of the connection is what a good client brings.
            while stage.is_asked() {}
            Ok(())
        }),
    ));
    let Err(SolveError::Daemon(status)) = outcome else { panic!("{outcome:?}") };
    assert!(status.is_transport && status.message.contains("shutting down"), "{status:?}");
}

#[test]
fn a_daemon_that_is_shutting_down_may_end_a_build_that_it_has_been_given() {
    let (outcome, _) = play(solve(|stage| {
        returned(stage);
        std::thread::park_timeout(Duration::from_millis(100));
        stage.go_away(Reason::NO_ERROR);
        assert!(stage.is_asked());
        Ok(())
    }));
    outcome.unwrap();
}

#[test]
fn a_build_that_is_over_before_it_has_a_result_was_not_interrupted() {
    let (outcome, _) = play(unanswered("LLBBridge/Solve", solve(|_| Ok(()))));
    let Err(SolveError::Daemon(status)) = outcome else { panic!("{outcome:?}") };
    assert!(status.message.contains("before it was given the result"), "{status:?}");
}

/// Of a client that loses patience soon.
fn impatient(script: Script, patience: Patience) -> (SolveError<Status>, Duration) {
    let (socket, _fake) = Fake::start(script);
    let begun = Instant::now();
    let (outcome, _) = build_with(socket, Vec::new(), patience);
    (outcome.unwrap().unwrap_err(), begun.elapsed())
}

const SOON: Patience = Patience {
    interval: Duration::from_millis(20),
    silence: Duration::from_millis(200),
    sign_of_life: Duration::from_millis(200),
    unanswered: 3,
    idle: Duration::from_millis(600),
};

#[test]
fn a_call_that_is_never_answered_ends_a_build_that_runs_no_step_though_the_daemon_is_alive() {
    for method in ["LLBBridge/Solve", "LLBBridge/Return"] {
        let script = unanswered(
            method,
            solve(|stage| {
                while stage.is_asked() {
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                Ok(())
            }),
        );
        let (error, elapsed) = impatient(script, SOON);
        let SolveError::Daemon(status) = error else { panic!("{method}: {error:?}") };
        assert!(status.message.contains("no step"), "{method}: {status:?}");
        assert!(elapsed < PATIENCE, "{method}: {elapsed:?}");
    }
}

#[test]
fn a_daemon_of_which_only_the_session_is_alive_is_given_up() {
    let infos = AtomicUsize::new(0);
    let script = Script {
        // The first says who it is.
        intercept: Box::new(move |path, _| {
            !path.ends_with("LLBBridge/Solve")
                && (!path.ends_with("/Info") || infos.fetch_add(1, Ordering::SeqCst) == 0)
        }),
        ..solve(|stage| {
            while stage.is_asked() {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            Ok(())
        })
    };
    let (error, elapsed) = impatient(script, Patience { idle: Duration::from_secs(3600), ..SOON });
    let SolveError::Daemon(status) = error else { panic!("{error:?}") };
    assert!(status.message.contains("has said nothing"), "{status:?}");
    assert!(elapsed < PATIENCE, "{elapsed:?}");
}

#[test]
fn a_lost_status_stream_is_opened_again() {
    let script = Script {
        status_breaks: 2,
        ..solve(|stage| {
            returned(stage);
            std::thread::park_timeout(Duration::from_millis(300));
            Ok(())
        })
    };
    let (outcome, news) = play(script);
    outcome.unwrap();
    let restarts = news.iter().filter(|n| matches!(n, News::Restarted)).count();
    assert_eq!(restarts, 2, "{news:?}");
}

#[test]
fn a_call_that_was_refused_unseen_is_made_once_more_and_no_more() {
    for (refusals, is_well) in [(1, true), (2, false)] {
        let counted = Arc::new(AtomicUsize::new(0));
        let solves = Arc::clone(&counted);
        let script = Script {
            intercept: Box::new(move |path, respond| {
                if path != "/moby.buildkit.v1.Control/Solve" {
                    return true;
                }
                let is_refused = solves.fetch_add(1, Ordering::SeqCst) < refusals;
                if is_refused {
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
                !is_refused
            }),
            ..solve(|stage| {
                returned(stage);
                Ok(())
            })
        };
        let (outcome, _) = play(script);
        assert_eq!(outcome.is_ok(), is_well, "{refusals} refusals: {outcome:?}");
        assert_eq!(counted.load(Ordering::SeqCst), 2, "{refusals} refusals");
    }
}

#[test]
fn a_call_that_may_have_been_seen_is_never_made_again() {
    let counted = Arc::new(AtomicUsize::new(0));
    let solves = Arc::clone(&counted);
    let script = Script {
        intercept: Box::new(move |path, respond| {
            let is_solve = path == "/moby.buildkit.v1.Control/Solve";
            if is_solve {
                solves.fetch_add(1, Ordering::SeqCst);
                respond.send_reset(Reason::INTERNAL_ERROR);
            }
            !is_solve
        }),
        ..Script::default()
    };
    let (outcome, _) = play(script);
    assert!(matches!(outcome, Err(SolveError::Daemon(_))), "{outcome:?}");
    assert_eq!(counted.load(Ordering::SeqCst), 1);
}

#[test]
fn answers_that_are_no_grpc_are_named() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(u16, Headers, &str); 4] = [
        (404, &[], "404"),
        (200, &[("content-type", "text/html")], "text/html"),
        (
            200,
            &[
                ("content-type", "application/grpc"),
                ("grpc-status", "7"),
                ("grpc-message", "no%20way"),
            ],
            "no way",
        ),
        (200, &[("content-type", "application/grpc")], "without a status"),
    ];
    for (status, headers, expected) in cases {
        let script = Script {
            intercept: Box::new(move |path, respond| {
                let is_info = path.ends_with("/Info");
                if is_info {
                    answer_headers(respond, status, headers);
                }
                !is_info
            }),
            ..Script::default()
        };
        let (socket, _fake) = Fake::start(script);
        let (outcome, _) = build(socket, Vec::new());
        let text = match outcome {
            Err(DaemonError::Call(status)) => status.to_string(),
            // 404 is how gRPC's mapping says that the method is not there.
            Err(DaemonError::TooOld { version: None }) => "404".to_owned(),
            other => panic!("{other:?}"),
        };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_grpc_server_of_another_kind_is_not_called_an_old_buildkit() {
    let script = Script {
        intercept: Box::new(|_, respond| {
            let unimplemented = [("content-type", "application/grpc"), ("grpc-status", "12")];
            answer_headers(respond, 200, &unimplemented);
            false
        }),
        ..Script::default()
    };
    let (socket, _fake) = Fake::start(script);
    let (outcome, _) = build(socket, Vec::new());
    assert!(matches!(outcome, Err(DaemonError::Call(_))), "{outcome:?}");
}

#[test]
fn a_message_above_the_limit_is_refused_before_it_is_stored() {
    struct Flood;
    impl Service for Flood {
        fn methods(&self) -> &'static [&'static str] {
            &["/test.Flood/Take"]
        }
        fn serve(&self, call: &mut Call) -> Result<(), Status> {
            call.request::<HealthCheckRequest>().map(drop)
        }
    }
    let (socket, _fake) = Fake::start(solve(|stage| {
        let (mut sender, mut answers) =
            stage.session.open("/test.Flood/Take", CallOptions::default())?;
        sender.send(bytes::Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]))?;
        let error = answers.receive().unwrap_err();
        assert!(error.message.contains("limit"), "{error:?}");
        returned(stage);
        Ok(())
    }));
    let (outcome, _) = build(socket, vec![Arc::new(Flood)]);
    outcome.unwrap().unwrap();
}

/// An export whose reader stops after `read_bytes`, waits until `enough_bytes` are under way or `patience` is over, and
/// refuses the rest.
struct Export {
    read_bytes: usize,
    enough_bytes: usize,
    patience: Duration,
    sent_bytes: Arc<AtomicUsize>,
}

impl Service for Export {
    fn methods(&self) -> &'static [&'static str] {
        &["/test.Export/Take"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        let receiver = call.receiver.as_mut().unwrap();
        let mut read = 0;
        while read < self.read_bytes {
            read += receiver.receive()?.unwrap().len();
        }
        let begun = Instant::now();
        while self.sent_bytes.load(Ordering::Relaxed) < self.enough_bytes
            && begun.elapsed() < self.patience
        {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Err(Status::new(Code::AlreadyExists, "it is there"))
    }
}

/// What a daemon gets rid of when it sends as fast as it can.
fn sent_to(read_bytes: usize, enough_bytes: usize, patience: Duration) -> usize {
    let sent_bytes = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&sent_bytes);
    let export = Export { read_bytes, enough_bytes, patience, sent_bytes: theirs };
    let sent = Arc::clone(&sent_bytes);
    let (socket, _fake) = Fake::start(solve(move |stage| {
        let (mut sender, mut answers) =
            stage.session.open("/test.Export/Take", CallOptions::default())?;
        let message = [&[0, 0, 0, 0x40, 0][..], &[7; 16 << 10]].concat();
        while sender.send(message.clone().into()).is_ok() {
            sent.fetch_add(message.len(), Ordering::Relaxed);
        }
        assert_eq!(answers.receive().unwrap_err().code, Code::AlreadyExists);
        returned(stage);
        Ok(())
    }));
    let (outcome, _) = build(socket, vec![Arc::new(export)]);
    outcome.unwrap().unwrap();
    sent_bytes.load(Ordering::Relaxed)
}

#[test]
fn of_an_export_that_is_refused_little_is_sent() {
    let sent = sent_to(0, 1 << 20, Duration::from_millis(500));
    assert!(sent <= 64 << 10, "{sent} bytes");
}

#[test]
fn an_export_that_is_read_gets_a_wide_window() {
    let sent = sent_to(64 << 10, 7 << 20, PATIENCE);
    assert!(sent >= 7 << 20, "{sent} bytes");
}
