//! A frontend that fails is heard, whatever the daemon answers first.

use std::collections::BTreeMap;

use crossbeam_channel::bounded;
use peelbox::{
    grpc::{Cancel, Code, Status},
    session::SessionId,
    solve::{Answer, Connection, Host, Job, SolveError, run},
};

use crate::support::fake::{Fake, PATIENCE, Script, listen};

#[test]
fn a_build_that_ends_before_the_daemon_has_answered_the_frontend_still_ends_with_its_words() {
    let (told, was_told) = bounded(1);
    let script = Script {
        // As a real daemon does now and then: the build is over, the call that ended it is not answered.
        intercept: Box::new(move |path, _| {
            let is_return = path.ends_with("/Return");
            if is_return {
                told.send(()).unwrap();
            }
            !is_return
        }),
        solve: Box::new(move |_| {
            was_told.recv_timeout(PATIENCE).unwrap();
            Err(Status::new(Code::Unknown, "rpc error: the client gave up"))
        }),
        ..Script::default()
    };
    let (socket, _fake) = Fake::start(script);
    let connection = Connection::open(socket, "localhost", &Cancel::default()).unwrap();
    let host = Host {
        session: SessionId("session".into()),
        shared_key: String::new(),
        services: Vec::new(),
    };
    let job = Job {
        reference: "ref".into(),
        exporter: None,
        frontend_attrs: BTreeMap::new(),
        internal: true,
    };
    let (news, _ours) = listen();
    let result =
        run(&connection, host, job, &news, &Cancel::default(), |_| Err::<Answer, _>("no idea"));
    assert!(matches!(result, Err(SolveError::Frontend("no idea"))), "{result:?}");
}
