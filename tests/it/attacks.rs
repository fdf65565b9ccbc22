//! A daemon that means harm: whatever it says, the run ends soon, takes little memory, writes nothing elsewhere and tells
//! the terminal nothing but text.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::HeaderMap;
use peelbox::{
    grpc::{CallOptions, Code, Status, client::Responses, frame, stream::Sender},
    pb::{control, filesync, fsutil, llb, worker},
    threads,
};
use prost::Message;
use rustix::process::Signal;

use crate::support::{
    fake::{FAKE_DIGEST, Fake, PATIENCE, Script, Stage, image_config},
    peelbox::Run,
    workdir::{Workdir, debian},
};

/// Most that any run may take in memory.
const MEMORY_KIB_MAX: u64 = 100 << 10;
/// How long it may take on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What steers a terminal, or forges a line.
const PLANTED: [&str; 6] = [
    "\u{1b}]0;pwn\u{7}title",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{9b}2Jc1\u{9d}0;pwn\u{9c}",
    "\u{202e}nwp\u{2066}\u{200f}bidi",
    "one\nerror: forged\r\nhint: forged",
    "\u{2028}error: forged\u{85}\u{7f}\u{8}\u{0}",
];

/// One daemon.
struct Attack {
    name: String,
    script: Box<dyn Fn() -> Script + Send>,
    args: &'static [&'static str],
    /// What `.dockerignore` says.
    ignored: &'static str,
}

const TAR: &[&str] = &["--output", "type=oci,dest=app.tar", "--no-sbom", "--no-provenance"];
const NOTHING: &[&str] = &["--output", "type=none"];

fn attack(name: impl Into<String>, script: impl Fn() -> Script + Send + 'static) -> Attack {
    Attack { name: name.into(), script: Box::new(script), args: NOTHING, ignored: "" }
}

impl Attack {
    fn with(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    fn leaving_out(self, ignored: &'static str) -> Self {
        Self { ignored, ..self }
    }

    /// Plays it, and looks at what every run must keep to.
    fn play(self) -> Played {
        let Self { name, script, args, ignored } = self;
        let spec = debian("attacked", &["true"]);
        let work = Workdir::with_spec(&spec);
        work.write("file", "content");
        work.write("secret", "content");
        if !ignored.is_empty() {
            work.write(".dockerignore", ignored);
        }
        let socket = work.path("fake.sock");
        Fake::listen(&socket, script);
        let work = work.on(&format!("unix://{}", socket.display()));
        let peak = work.path("peak");
        let build = work.build().args(["--progress", "plain", "--iidfile", "iid"]);
        let build =
            if args == NOTHING { work.build().args(["--progress", "plain"]) } else { build };
        let run = build.args(args).measured(&peak).run();
        assert!(run.elapsed < TIME_MAX, "{name}: {:?}\n{}", run.elapsed, run.stderr);
        assert_eq!(run.signal, None, "{name}");
        let peak_kib: u64 = fs::read_to_string(&peak).unwrap().trim().parse().unwrap();
        assert!(peak_kib < MEMORY_KIB_MAX, "{name}: {peak_kib} KiB\n{:.2000}", run.stderr);
        for text in [run.stderr.as_str(), &String::from_utf8_lossy(&run.stdout)] {
            only_text(&name, text);
        }
        let mut left: Vec<String> = fs::read_dir(work.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| {
                !["context", "fake.sock", "home", "peak", "universalbuild.json"]
                    .contains(&name.as_str())
            })
            .collect();
        left.sort();
        Played { name, run, left, peak_kib }
    }
}

struct Played {
    name: String,
    run: Run,
    /// What is new in the folder.
    left: Vec<String>,
    peak_kib: u64,
}

/// No control characters but line ends, and no line that somebody else has begun.
fn only_text(name: &str, text: &str) {
    let steers = |c: &char| {
        c.is_control() && *c != '\n' && *c != '\t'
            || matches!(*c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(steers), None, "{name}: {text:?}");
    assert!(!text.contains("pwn\u{7}"), "{name}: {text:?}");
    let forged = text
        .lines()
        .find(|line| line.starts_with("error: forged") || line.starts_with("hint: forged"));
    assert_eq!(forged, None, "{name}: {text}");
}

/// Plays attacks; a line for each with what it cost.
fn play(attacks: Vec<Attack>) -> String {
    // A few at once: most of the time is that of starting processes.
    let count = attacks.len();
    let queue = Arc::new(std::sync::Mutex::new(attacks));
    let players = [0; 2].map(|_| {
        let queue = Arc::clone(&queue);
        let player = move || {
            let (mut peak_kib, mut told) = (0, String::new());
            loop {
                let Some(attack) = queue.lock().unwrap().pop() else { return (peak_kib, told) };
                let played = attack.play();
                peak_kib = peak_kib.max(played.peak_kib);
                let elapsed = played.run.elapsed;
                told += &format!("{:>7} KiB  {elapsed:.1?}  {}\n", played.peak_kib, played.name);
                // Nothing half done, and what was done is told.
                if played.run.code != Some(0) {
                    assert_eq!(played.left, [""; 0], "{}", played.name);
                }
            }
        };
        threads::spawn("attacks", player).unwrap()
    });
    let played = players.map(|player| player.join().unwrap());
    let peak_kib = played.iter().map(|(peak_kib, _)| *peak_kib).max().unwrap_or_default();
    let told: String = played.into_iter().map(|(_, told)| told).collect();
    format!("{told}{count} attacks, at most {peak_kib} KiB")
}

/// A daemon that answers one call with an error.
fn refuses(method: &'static str, code: Code, text: &'static str) -> Script {
    Script {
        answer: Box::new(move |path, _| {
            path.ends_with(method).then(|| Err(Status::new(code, text)))
        }),
        ..Script::default()
    }
}

/// A daemon that answers one call with a message.
fn says<M: Message + 'static>(method: &'static str, message: M) -> Script {
    let bytes = frame::encode(&message);
    Script {
        answer: Box::new(move |path, sender| {
            path.ends_with(method).then(|| sender.send(bytes.clone()))
        }),
        ..returns()
    }
}

/// A good daemon.
fn returns() -> Script {
    acts(|_| Ok(()))
}

/// A daemon that does something once it has the graph, and then says that all is well.
fn acts(act: impl Fn(&Stage) -> Result<(), Status> + Send + Sync + 'static) -> Script {
    Script {
        solve: Box::new(move |stage| {
            drop(stage.returned.recv_timeout(PATIENCE));
            act(stage)
        }),
        ..Script::default()
    }
}

fn vertex(digest: String) -> control::Vertex {
    let started = Some(peelbox::pb::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    control::Vertex { digest, started, name: "step".to_owned(), ..Default::default() }
}

fn news(vertexes: Vec<control::Vertex>) -> control::StatusResponse {
    control::StatusResponse { vertexes, ..Default::default() }
}

/// A daemon whose news are those, one message after the other.
fn tells(
    news: impl Fn(usize) -> Option<control::StatusResponse> + Send + Sync + 'static,
) -> Script {
    let told = Arc::new(AtomicUsize::new(0));
    let is_told = Arc::clone(&told);
    Script {
        answer: Box::new(move |path, sender| {
            path.ends_with("Control/Status").then(|| {
                let mut result = Ok(());
                for number in 0.. {
                    let Some(news) = news(number) else { break };
                    result = sender.send(frame::encode(&news));
                    if result.is_err() {
                        break;
                    }
                }
                told.store(1, Ordering::SeqCst);
                result
            })
        }),
        ..acts(move |_| {
            crate::support::wait::eventually("the news are told", TIME_MAX, || {
                (is_told.load(Ordering::SeqCst) == 1).then_some(())
            });
            Ok(())
        })
    }
}

#[test]
fn no_text_of_a_daemon_steers_the_terminal_or_forges_a_line() {
    let mut attacks = Vec::new();
    for (number, text) in PLANTED.into_iter().enumerate() {
        let name = |what: &str| format!("{what} with text {number}");
        for (method, code) in [
            ("Control/Info", Code::Unknown),
            ("Control/ListWorkers", Code::Internal),
            ("Control/Solve", Code::Unknown),
            ("Control/Solve", Code::Unavailable),
            ("LLBBridge/Ping", Code::Unknown),
            ("LLBBridge/ResolveImageConfig", Code::Unknown),
            ("LLBBridge/ResolveImageConfig", Code::Unauthenticated),
            ("LLBBridge/Solve", Code::Unknown),
            ("LLBBridge/Return", Code::Unknown),
        ] {
            attacks.push(attack(name(method), move || refuses(method, code, text)));
        }
        let pushed = format!("failed to push 127.0.0.1:1/x: denied: {text}");
        attacks.push(attack(name("a failed push"), move || {
            let pushed = pushed.clone();
            acts(move |_| Err(Status::new(Code::Unknown, pushed.clone())))
        }));
        attacks.push(attack(name("version"), move || {
            let version =
                worker::BuildkitVersion { version: format!("v0.{text}"), ..Default::default() };
            says("Control/Info", control::InfoResponse { buildkit_version: Some(version) })
        }));
        attacks.push(attack(name("an old version"), move || {
            let version =
                worker::BuildkitVersion { version: format!("v0.1.{text}"), ..Default::default() };
            says("Control/Info", control::InfoResponse { buildkit_version: Some(version) })
        }));
        attacks.push(attack(name("digest of a base"), move || {
            says("LLBBridge/ResolveImageConfig", image_config(text, "{}"))
        }));
        attacks.push(attack(name("config of a base"), move || {
            let text = serde_json::to_string(text).unwrap();
            let config = format!(r#"{{"User":{text},"Env":[{text}],"Labels":{{{text}:{text}}}}}"#);
            says("LLBBridge/ResolveImageConfig", image_config(FAKE_DIGEST, &config))
        }));
        attacks.push(attack(name("platform of a base"), move || {
            let config = serde_json::json!({ "architecture": text, "os": text, "config": {} });
            let mut answer = image_config(FAKE_DIGEST, "{}");
            answer.config = config.to_string().into_bytes();
            says("LLBBridge/ResolveImageConfig", answer)
        }));
        attacks.push(attack(name("news"), move || {
            tells(move |number| {
                let digest = "sha256:one".to_owned();
                let mut one = vertex(digest.clone());
                one.name = format!("name {text}");
                one.error = format!("error {text}");
                one.completed = one.started;
                let log = control::VertexLog {
                    vertex: digest.clone(),
                    msg: format!("log {text}").into_bytes(),
                    ..Default::default()
                };
                let warning = control::VertexWarning {
                    vertex: digest.clone(),
                    short: text.as_bytes().to_vec(),
                    detail: vec![text.as_bytes().to_vec()],
                    url: text.to_owned(),
                    ..Default::default()
                };
                let status = control::VertexStatus {
                    id: text.to_owned(),
                    vertex: digest,
                    started: one.started,
                    ..Default::default()
                };
                (number == 0).then(|| control::StatusResponse {
                    vertexes: vec![one],
                    logs: vec![log],
                    warnings: vec![warning],
                    statuses: vec![status],
                })
            })
        }));
        attacks.push(attack(name("an error packet of the context"), move || {
            acts(move |stage| {
                let (mut sender, mut answers) = context(stage)?;
                let data = bytes::Bytes::from(text);
                let kind = fsutil::packet::PacketType::Err.into();
                sender.message(&fsutil::Packet { r#type: kind, data, ..Default::default() })?;
                while answers.receive()?.is_some() {}
                Ok(())
            })
        }));
        attacks.push(
            attack(name("digest of the image"), move || Script {
                response: [("containerimage.digest".to_owned(), text.to_owned())].into(),
                ..acts(|stage| image(stage, &[b"tar"], true))
            })
            .with(TAR),
        );
        attacks.push(
            attack(name("id of the image"), move || Script {
                response: [("containerimage.config.digest".to_owned(), text.to_owned())].into(),
                ..acts(|stage| image(stage, &[b"tar"], true))
            })
            .with(TAR),
        );
        attacks.push(attack(name("a registry that is asked for"), move || {
            acts(move |stage| {
                let request = filesync::CredentialsRequest { host: text.to_owned() };
                stage.session.unary::<filesync::CredentialsResponse>(
                    "/moby.filesync.v1.Auth/Credentials",
                    &request,
                    CallOptions::default(),
                )?;
                Ok(())
            })
        }));
    }
    assert!(attacks.len() >= 100, "{}", attacks.len());
    println!("{}", play(attacks));
}

#[test]
fn no_digest_of_a_daemon_is_a_path() {
    let mut attacks = Vec::new();
    for text in ["../../../../attacked", "sha256:../../../../attacked", "/var/tmp/attacked", ""] {
        for key in ["containerimage.digest", "containerimage.config.digest"] {
            let name = format!("{key} `{text}`");
            attacks.push(
                attack(name, move || Script {
                    response: [(key.to_owned(), text.to_owned())].into(),
                    ..acts(|stage| image(stage, &[b"tar"], true))
                })
                .with(TAR),
            );
        }
        attacks.push(attack(format!("base `{text}`"), move || {
            says("LLBBridge/ResolveImageConfig", image_config(text, "{}"))
        }));
    }
    for attack in attacks {
        let played = attack.play();
        // A base that cannot be had is the registry's fault as far as is known; the daemon may say that all went well first.
        let codes = if played.name.starts_with("base") { &[5, 7][..] } else { &[7] };
        let is_told = played.run.code.is_some_and(|code| codes.contains(&code));
        assert!(is_told, "{}\n{}", played.name, played.run.stderr);
        assert_eq!(played.left, [""; 0], "{}", played.name);
    }
}

#[test]
fn files_that_the_project_leaves_out_are_handed_to_nobody() {
    let (tx, told) = crossbeam_channel::bounded(10);
    let asks = attack("no patterns", move || {
        let tx = tx.clone();
        acts(move |stage| {
            let (_sender, mut answers) = context(stage)?;
            let end = loop {
                match answers.receive() {
                    Ok(Some(packet)) => {
                        let packet = fsutil::Packet::decode(packet).unwrap();
                        tx.send(Ok(packet.stat.map(|stat| stat.path).unwrap_or_default())).unwrap();
                    }
                    Ok(None) => break None,
                    Err(status) => break Some(status),
                }
            };
            tx.send(Err(end.map(|status| status.code))).unwrap();
            Ok(())
        })
    });
    drop(asks.leaving_out("secret").play());
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), Err(Some(Code::PermissionDenied)));
}

/// A transfer of the context, as a daemon begins it.
fn context(stage: &Stage) -> Result<(Sender, Responses), Status> {
    let mut metadata = HeaderMap::new();
    metadata.insert("dir-name", "context".parse().unwrap());
    let options = CallOptions { metadata, ..CallOptions::default() };
    stage.session.open("/moby.filesync.v1.FileSync/DiffCopy", options)
}

/// Sends an image in these pieces; one that does not end is reset.
fn image(stage: &Stage, pieces: &[&[u8]], ends: bool) -> Result<(), Status> {
    let (mut sender, mut answers) =
        stage.session.open("/moby.filesync.v1.FileSend/DiffCopy", CallOptions::default())?;
    for piece in pieces {
        sender.message(&filesync::BytesMessage { data: piece.to_vec().into() })?;
    }
    if ends {
        sender.close();
        while answers.receive()?.is_some() {}
    } else {
        sender.reset(h2::Reason::CANCEL);
    }
    Ok(())
}

#[test]
fn a_tar_has_its_name_only_when_it_came_once_and_to_its_end() {
    let good =
        attack("a good image", || acts(|stage| image(stage, &[b"one", b"two"], true))).with(TAR);
    let played = good.play();
    assert_eq!(played.run.code, Some(0), "{}", played.run.stderr);
    assert_eq!(played.left, ["app.tar", "iid"]);
    let attacks = vec![
        attack("half an image", || acts(|stage| image(stage, &[b"half"], false))).with(TAR),
        attack("no image", || acts(|_| Ok(()))).with(TAR),
        attack("an image that is not ended", || {
            acts(|stage| {
                let (mut sender, answers) = stage
                    .session
                    .open("/moby.filesync.v1.FileSend/DiffCopy", CallOptions::default())?;
                sender.message(&filesync::BytesMessage { data: b"half".to_vec().into() })?;
                std::mem::forget((sender, answers));
                Ok(())
            })
        })
        .with(TAR),
        attack("half an image, then a whole one", || {
            acts(|stage| {
                image(stage, &[b"half"], false)?;
                drop(image(stage, &[b"whole"], true));
                Ok(())
            })
        })
        .with(TAR),
    ];
    println!("{}", play(attacks));
}

#[test]
fn the_memory_of_a_run_is_bounded_whatever_comes() {
    let long = |letter: &str| letter.repeat(14 << 20);
    let many = |number: usize, count: usize| (number * count)..((number + 1) * count);
    let attacks = vec![
        attack("long digests", move || {
            tells(move |number| {
                (number < 16).then(|| news(vec![vertex(long(&number.to_string()[..1]))]))
            })
        }),
        attack("long names and errors", move || {
            tells(move |number| {
                let mut one = vertex(format!("sha256:{number}"));
                (one.name, one.error) = ("n".repeat(7 << 20), "e".repeat(7 << 20));
                (number < 16).then(|| news(vec![one]))
            })
        }),
        attack("steps without end", move || {
            tells(move |number| {
                let steps = many(number, 10_000).map(|n| vertex(format!("sha256:{n:064}")));
                (number < 40).then(|| news(steps.collect()))
            })
        }),
        attack("errors of many steps", move || {
            tells(move |number| {
                let steps = many(number, 200).map(|n| {
                    let mut one = vertex(format!("sha256:{n:064}"));
                    one.error = "e".repeat(60_000);
                    one.completed = one.started;
                    one
                });
                (number < 40).then(|| news(steps.collect()))
            })
        }),
        attack("empty steps", || {
            tells(|number| (number < 3).then(|| news(vec![control::Vertex::default(); 1 << 20])))
        }),
        attack("inputs without end", || {
            tells(|number| {
                let mut one = vertex("sha256:one".to_owned());
                one.inputs = vec![String::new(); 2 << 20];
                (number < 3).then(|| news(vec![one]))
            })
        }),
        attack("groups with long names", move || {
            tells(move |number| {
                let mut one = vertex(format!("sha256:{number}"));
                one.progress_group = Some(llb::ProgressGroup {
                    id: format!("{number}{}", "g".repeat(14 << 20)),
                    ..Default::default()
                });
                (number < 16).then(|| news(vec![one]))
            })
        }),
        attack("a group of very many steps", move || {
            tells(move |number| {
                let steps = many(number, 10_000).map(|n| {
                    let mut one = vertex(format!("sha256:{n:064}"));
                    one.started = Some(peelbox::pb::Timestamp { seconds: 2 * n as i64, nanos: 0 });
                    one.completed =
                        Some(peelbox::pb::Timestamp { seconds: 2 * n as i64 + 1, nanos: 0 });
                    one.progress_group =
                        Some(llb::ProgressGroup { id: "g".to_owned(), ..Default::default() });
                    one
                });
                (number < 10).then(|| news(steps.collect()))
            })
        }),
        attack("sub-tasks and warnings without end", move || {
            tells(move |number| {
                let steps: Vec<_> = (0..100).map(|n| vertex(format!("sha256:{n:064}"))).collect();
                let statuses = many(number, 2000).map(|n| control::VertexStatus {
                    id: format!("{n}{}", "s".repeat(4000)),
                    vertex: format!("sha256:{:064}", n % 100),
                    ..Default::default()
                });
                let warnings = many(number, 100).map(|n| control::VertexWarning {
                    vertex: format!("sha256:{:064}", n % 100),
                    short: format!("{n}").into_bytes(),
                    detail: vec![vec![b'w'; 4000]; 10],
                    ..Default::default()
                });
                (number < 30).then(|| control::StatusResponse {
                    vertexes: steps,
                    statuses: statuses.collect(),
                    warnings: warnings.collect(),
                    ..Default::default()
                })
            })
        }),
        attack("output of many steps", move || {
            tells(move |number| {
                let steps: Vec<_> =
                    many(number, 100).map(|n| vertex(format!("sha256:{n:064}"))).collect();
                let logs = steps.iter().map(|step| control::VertexLog {
                    vertex: step.digest.clone(),
                    msg: [vec![b'l'; 100], vec![b'\n'], vec![b'o'; 15_000]].concat(),
                    ..Default::default()
                });
                let logs = logs.collect();
                (number < 60).then(|| control::StatusResponse {
                    vertexes: steps,
                    logs,
                    ..Default::default()
                })
            })
        }),
        attack("long lines of output", move || {
            tells(move |number| {
                let digest = "sha256:one".to_owned();
                let log = control::VertexLog {
                    vertex: digest.clone(),
                    msg: vec![b'\r'; 15 << 20],
                    ..Default::default()
                };
                (number < 10).then(|| control::StatusResponse {
                    vertexes: vec![vertex(digest)],
                    logs: vec![log],
                    ..Default::default()
                })
            })
        }),
        attack("a long error", || refuses("Control/Solve", Code::Unknown, LONG_TEXT)),
        attack("streams of the session without end", || {
            acts(|stage| {
                let mut held = Vec::new();
                for _ in 0..3000 {
                    let options =
                        CallOptions { timeout: Some(Duration::from_secs(2)), ..Default::default() };
                    let Ok(call) = stage.session.open("/grpc.health.v1.Health/Check", options)
                    else {
                        break;
                    };
                    held.push(call);
                }
                Ok(())
            })
        }),
        attack("refused calls with endless bodies", || {
            acts(|stage| {
                let mut held = Vec::new();
                for _ in 0..500 {
                    let options =
                        CallOptions { timeout: Some(Duration::from_secs(2)), ..Default::default() };
                    let Ok((mut sender, answers)) =
                        stage.session.open("/some.Service/Unknown", options)
                    else {
                        break;
                    };
                    drop(sender.send(bytes::Bytes::from(vec![0; 30_000])));
                    held.push((sender, answers));
                }
                Ok(())
            })
        }),
        attack("requests of the context without end", || {
            acts(|stage| {
                let (mut sender, _answers) = context(stage)?;
                let kind = fsutil::packet::PacketType::Req.into();
                for id in 0..100_000 {
                    if sender
                        .message(&fsutil::Packet { r#type: kind, id, ..Default::default() })
                        .is_err()
                    {
                        break;
                    }
                }
                Ok(())
            })
        }),
    ];
    println!("{}", play(attacks));
}

static LONG_TEXT: &str = {
    const BYTES: &[u8] = &[b'e'; 7000];
    match std::str::from_utf8(BYTES) {
        Ok(text) => text,
        Err(_) => panic!("it is ASCII"),
    }
};

#[test]
fn a_second_ctrl_c_ends_a_run_whose_display_is_kept_busy() {
    let work = Workdir::with_spec(&debian("busy", &["true"]));
    let socket = work.path("fake.sock");
    Fake::listen(&socket, || {
        tells(|number| {
            let steps = (0..10_000).map(|n| {
                let mut one = vertex(format!("sha256:{n:064}"));
                let seconds = (number * 10_000 + n) as i64;
                one.started = Some(peelbox::pb::Timestamp { seconds, nanos: 0 });
                one.progress_group =
                    Some(llb::ProgressGroup { id: "g".to_owned(), ..Default::default() });
                one
            });
            Some(news(steps.collect()))
        })
    });
    let work = work.on(&format!("unix://{}", socket.display()));
    let mut running = work.build().args(NOTHING).args(["--progress", "plain"]).start();
    running.wait_for("#1");
    running.signal(Signal::INT);
    thread::park_timeout(Duration::from_millis(100));
    running.signal(Signal::INT);
    let second = std::time::Instant::now();
    drop(running.finish().ended(130));
    assert!(second.elapsed() < Duration::from_secs(5), "{:?}", second.elapsed());
}
