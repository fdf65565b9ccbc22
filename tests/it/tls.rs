//! Encrypted connections: every way to name the files, what goes through, and what is said of each fault.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use crate::support::{
    daemon::{self, variable},
    image::unpack,
    peelbox::{Peelbox, Run},
    workdir::{Workdir, debian},
};

/// Longest time in which a fault must have been told.
const SOON: Duration = Duration::from_secs(5);

/// Address of the daemon that wants a client certificate.
fn address() -> String {
    variable("PEELBOX_TEST_BUILDKIT_TLS")
}

/// A file of the testbed's certificates.
fn file(name: &str) -> PathBuf {
    Path::new(&variable("PEELBOX_TEST_TLS_DIR")).join(name)
}

fn flag(name: &str, path: impl AsRef<Path>) -> String {
    format!("--{name}={}", path.as_ref().display())
}

/// What a client of that daemon needs, each by a flag of its own.
fn all_flags() -> [String; 3] {
    [
        flag("tlscacert", file("ca.pem")),
        flag("tlscert", file("cert.pem")),
        flag("tlskey", file("key.pem")),
    ]
}

fn work() -> Workdir {
    Workdir::with_spec(&debian("tls", &["mkdir /out && echo built >/out/file"]))
}

/// A build that names no daemon.
fn build(work: &Workdir) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--output", "type=none"];
    work.peelbox().args(args)
}

#[test]
fn a_large_context_and_its_image_go_through_unchanged() {
    // The daemon reads all files in the order of their names, as is done here.
    let commands = [
        "mkdir /out && cp large /out && ls -1 many | wc -l >/out/count",
        "find many -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -c-64 >/out/sum",
    ];
    let work = Workdir::with_spec(&debian("tls-large", &commands)).on(&address());
    let mut small = Sha256::new();
    for at in 0..5000 {
        let content = format!("file {at}\n").repeat(at % 7);
        work.write(&format!("many/{at:05}"), &content);
        small.update(&content);
    }
    let mut large = Vec::new();
    fs::File::open("/dev/urandom").unwrap().take(30 << 20).read_to_end(&mut large).unwrap();
    work.write("large", &large);
    // Both layouts of a folder; the image comes back the same way.
    let run = work.build().args(["--output", "type=oci,dest=app.tar", "--progress", "plain"]);
    let run = run.arg(flag("tlsdir", file("kubernetes"))).run().ok();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let root = unpack(&work.path("app.tar"));
    assert!(fs::read(root.join("large")).unwrap() == large, "30 MiB changed on the way");
    let told = |name: &str| fs::read_to_string(root.join(name)).unwrap().trim().to_owned();
    assert_eq!(told("count"), "5000");
    let hex: String = small.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told("sum"), hex);
}

#[test]
fn every_way_to_name_the_files_works_and_flags_win_over_variables() {
    let work = work();
    let [ca, cert, key] = all_flags();
    let ok = |run: Peelbox| drop(run.run().ok().says(&["BuildKit v0.32"]));
    let by_flag = || build(&work).args(["--buildkit", &address()]);
    let by_host = || build(&work).env("BUILDKIT_HOST", address());
    for folder in ["", "kubernetes"] {
        ok(by_host().arg(flag("tlsdir", file(folder))));
        ok(by_host().env("PEELBOX_TLSDIR", file(folder)));
    }
    ok(by_flag().args([&ca, &cert, &key]));
    let variables = by_flag()
        .env("PEELBOX_TLSCACERT", file("ca.pem"))
        .env("PEELBOX_TLSCERT", file("cert.pem"))
        .env("PEELBOX_TLSKEY", file("key.pem"));
    ok(variables);
    // By name instead of by address.
    let port = address().rsplit_once(':').unwrap().1.to_owned();
    let named = format!("tcp://localhost:{port}");
    ok(build(&work).args(["--buildkit", &named]).arg(flag("tlsdir", file(""))));
    // The CA is in the platform's store.
    let platform = by_flag().env("SSL_CERT_FILE", file("ca.pem")).args([&cert, &key]);
    ok(platform.arg("--tlsservername=localhost"));
    // The name is another than the address's.
    let other_name = || {
        let address = variable("PEELBOX_TEST_BUILDKIT_TLS_WRONGNAME");
        build(&work).args(["--buildkit", &address]).arg(&ca)
    };
    ok(other_name().arg("--tlsservername=buildkit.example"));
    ok(other_name().env("PEELBOX_TLSSERVERNAME", "buildkit.example"));
    // What was typed counts, and all variables are wrong.
    let misled = || {
        by_flag()
            .env("PEELBOX_TLSCACERT", file("other/ca.pem"))
            .env("PEELBOX_TLSCERT", "/none/cert.pem")
            .env("PEELBOX_TLSKEY", "/none/key.pem")
            .env("PEELBOX_TLSSERVERNAME", "elsewhere.example")
            .arg("--tlsservername=localhost")
    };
    ok(misled().env("PEELBOX_TLSDIR", "/none").args([&ca, &cert, &key]));
    ok(misled().arg(flag("tlsdir", file(""))));
}

/// The account has that line, the hint begins with that step.
fn refused(run: Peelbox, address: &str, reason: &str, step: &str) -> Run {
    let line = format!("\n  {address} (from `--buildkit`): {reason}");
    let hint = format!("\nhint: {step}");
    let run = run.args(["--buildkit", address]).run().ended(3).says(&[&line, &hint]);
    assert!(run.elapsed < SOON, "{:?}\n{}", run.elapsed, run.stderr);
    run
}

#[test]
fn each_fault_of_an_encrypted_connection_is_told_with_its_remedy() {
    let work = work();
    let [ca, cert, key] = all_flags();
    let other_ca = flag("tlscacert", file("other/ca.pem"));
    let check = |address: &str, flags: &[&String], reason: &str, step: &str| {
        let reason = format!("no TLS connection: {reason}");
        drop(refused(build(&work).args(flags), address, &reason, step));
    };
    let named = |name: &str| format!("--tlsservername={name}");
    check(
        &address(),
        &[&other_ca, &cert, &key],
        &format!(
            "the server's certificate is not signed by the CA in `{}`\n",
            file("other/ca.pem").display()
        ),
        "name the CA that signed the server's certificate with `--tlscacert FILE`",
    );
    check(
        &address(),
        &[&named("localhost")],
        "the server's certificate is not signed by a CA this platform trusts\n",
        "name the CA that signed",
    );
    check(
        &variable("PEELBOX_TEST_BUILDKIT_TLS_EXPIRED"),
        &[&ca],
        "the server's certificate has expired\n",
        "renew the server's certificate",
    );
    check(
        &variable("PEELBOX_TEST_BUILDKIT_TLS_WRONGNAME"),
        &[&ca],
        "the server's certificate is not for `127.0.0.1` but for buildkit.example\n",
        "name one of the certificate's own names with `--tlsservername NAME`",
    );
    check(
        &address(),
        &[&ca, &cert, &key, &named("elsewhere.example")],
        "the server's certificate is not for `elsewhere.example` but for localhost, 127.0.0.1\n",
        "name one of the certificate's own names",
    );
    check(
        &address(),
        &[&ca, &flag("tlscert", file("other/cert.pem")), &flag("tlskey", file("other/key.pem"))],
        "the server does not accept the client certificate: it does not know the CA that signed it\n",
        "name one that the server's CA has signed",
    );
    check(
        &daemon::newest_tcp(),
        &[&ca, &cert, &key],
        "the server does not speak TLS on this port\n",
        "leave the TLS flags and `PEELBOX_TLS…` variables out",
    );
    let without_roots = build(&work).env("SSL_CERT_FILE", "/none").arg(named("localhost"));
    let reason = "no TLS connection: this platform's trust store has no certificates";
    drop(refused(without_roots, &address(), reason, "name the CA that signed"));
    // Nor does it need a store to see that a server speaks TLS.
    let reason = "no TLS connection: the server speaks TLS";
    for roots in ["/none", "/etc/ssl/certs/ca-certificates.crt"] {
        let plain = build(&work).env("SSL_CERT_FILE", roots);
        drop(refused(plain, &address(), reason, "add `--tlscacert FILE`"));
    }
}

#[test]
fn a_missing_client_certificate_is_told_as_such_whatever_comes_first() {
    let work = work();
    let ca = flag("tlscacert", file("ca.pem"));
    // The alert comes after the handshake, and races with what is written meanwhile.
    let start = |_| build(&work).args([&ca, "--buildkit", &address()]).start();
    let all: Vec<_> = (0..16).map(start).collect();
    for running in all {
        let run = running.finish().ended(3);
        drop(run.says(&[
            "no TLS connection: the server wants a client certificate\n",
            "\nhint: name yours with `--tlscert FILE` and `--tlskey FILE`",
        ]));
    }
}

#[test]
fn files_that_are_none_are_told_before_anybody_is_asked() {
    let work = work();
    let no_pem = work.path("no.pem");
    fs::write(&no_pem, "neither a certificate nor a key\n").unwrap();
    let locked = work.path("locked.pem");
    fs::write(
        &locked,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let damaged = work.path("damaged.pem");
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    fs::create_dir(work.path("empty")).unwrap();
    let [ca, cert, key] = all_flags();
    let check = |flags: &[&str], says: &[&str]| {
        let run = build(&work).args(["--buildkit", "tcp://127.0.0.1:1"]).args(flags);
        drop(run.run().ended(2).says(says));
    };
    let shown = |path: &Path| format!("`{}`", path.display());
    check(
        &[&ca, &cert],
        &[
            &format!("the client certificate {} comes without its key", shown(&file("cert.pem"))),
            "hint: name the certificate's key with `--tlskey FILE`",
        ],
    );
    check(
        &[&ca, &key],
        &[
            &format!("the key {} comes without its client certificate", shown(&file("key.pem"))),
            "hint: name the key's certificate with `--tlscert FILE`",
        ],
    );
    let other_key = file("other/key.pem");
    check(
        &[&ca, &cert, &flag("tlskey", &other_key)],
        &[&format!("the key {} does not belong to the client certificate", shown(&other_key))],
    );
    check(
        &[&flag("tlscacert", "none.pem")],
        &["cannot read a certificate from `none.pem`: No such file or directory"],
    );
    check(
        &[&flag("tlscacert", &no_pem)],
        &[&format!("cannot read a certificate from {}: it has none in PEM format", shown(&no_pem))],
    );
    check(&[&flag("tlscacert", &damaged)], &["its PEM is damaged"]);
    check(
        &[&cert, &flag("tlskey", &no_pem)],
        &[&format!("cannot read a private key from {}: it has none in PEM format", shown(&no_pem))],
    );
    check(&[&cert, &flag("tlskey", &locked)], &["it is encrypted, a key without a passphrase"]);
    check(
        &[&flag("tlsdir", "empty")],
        &[
            "cannot read the TLS files from `empty`: it has neither ca.pem, cert.pem, key.pem nor ca.crt, tls.crt, tls.key",
        ],
    );
    check(&[&flag("tlsdir", "none")], &["cannot read the TLS files from `none`: No such file"]);
    check(&[&ca, "--tlsservername=no name"], &["`no name` is no name of a server"]);
    for single in [&ca, &cert, &key] {
        check(
            &[&flag("tlsdir", file("")), single],
            &["the argument '--tlsdir <DIR>' cannot be used with '--tls"],
        );
    }
}

/// Carries connections to any address of this machine on to a daemon on loopback; gives the port.
fn relay(daemon: &str) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let daemon = daemon.strip_prefix("tcp://").unwrap().to_owned();
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        let body = move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        };
        thread::Builder::new().name("relay-half".to_owned()).spawn(body).unwrap();
    };
    let serve = move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect(&daemon).unwrap();
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
    };
    thread::Builder::new().name("relay".to_owned()).spawn(serve).unwrap();
    port
}

/// An address of this machine that is not loopback: that of a bridge of the testbed, if nothing else.
fn own_address() -> Ipv4Addr {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap();
    let lines: Vec<&str> = trie.lines().collect();
    let local = lines.windows(2).filter(|pair| pair[1].trim() == "/32 host LOCAL");
    let addresses =
        local.filter_map(|pair| pair[0].trim_start_matches([' ', '|', '-']).parse().ok());
    addresses.into_iter().find(|address: &Ipv4Addr| !address.is_loopback()).unwrap()
}

#[test]
fn a_connection_in_the_clear_that_leaves_this_machine_is_warned_of_once() {
    let work = work();
    let outside = format!("tcp://{}:{}", own_address(), relay(&daemon::newest_tcp()));
    let warning = format!(
        "warning: {outside} is not encrypted: whoever is on the way can read and change what is built"
    );
    let build = || build(&work).args(["--progress", "plain"]);
    let run = build().args(["--buildkit", &outside]).run().ok();
    assert_eq!(run.stderr.matches(&warning).count(), 1, "{}", run.stderr);
    let encrypted = format!("tcp://{}:{}", own_address(), relay(&address()));
    let tls = build().args(["--buildkit", &encrypted, "--tlsservername=localhost"]);
    for run in
        [build().args(["--buildkit", &daemon::newest_tcp()]), tls.arg(flag("tlsdir", file("")))]
    {
        let run = run.run().ok();
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    }
}
