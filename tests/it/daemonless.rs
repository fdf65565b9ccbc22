//! A daemon of peelbox's own: started, used, its cache kept, and gone with the build.

use std::{fs, path::Path, time::Duration};

use rustix::process::Signal;

use crate::support::{
    daemon,
    image::Image,
    peelbox::Peelbox,
    private::{end_processes_below, unmount_below},
    wait::eventually,
    workdir::{Workdir, debian},
};

/// Cleans up what a failed test has left running.
struct Own(Workdir);

impl Own {
    fn new(name: &str, commands: &[&str]) -> Self {
        let work = Workdir::with_spec(&debian(name, commands));
        fs::create_dir(work.path("run")).unwrap();
        Self(work)
    }

    fn build(&self) -> Peelbox {
        let bin =
            Path::new(&daemon::variable("PEELBOX_TEST_BUILDKITD")).parent().unwrap().to_owned();
        let path = format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
        self.bare().env("PATH", path)
    }

    /// Without a `buildkitd` on PATH.
    fn bare(&self) -> Peelbox {
        let work = &self.0;
        // A daemon of this machine must not answer in the place of our own.
        let absent = format!("unix://{}", work.path("absent.sock").display());
        let config = daemon::variable("PEELBOX_TEST_BUILDKITD_TOML");
        work.peelbox()
            .args(["build", "--context", "context", "--output", "type=oci,dest=app.tar"])
            .args(["--daemonless", "--buildkitd-config", &config, "--progress", "rawjson"])
            .args(["--buildkit", &absent, "--spec"])
            .arg(work.spec())
            .env("XDG_RUNTIME_DIR", work.path("run"))
    }

    /// Processes whose command line names this place.
    fn processes(&self) -> Vec<String> {
        let root = self.0.root().to_str().unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(root))
            .collect()
    }

    fn assert_gone(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left: Vec<_> =
            mounts.lines().filter(|line| line.contains(self.0.root().to_str().unwrap())).collect();
        assert!(left.is_empty(), "{left:#?}");
        assert_eq!(self.processes(), Vec::<String>::new());
        let left: Vec<_> = fs::read_dir(self.0.path("run")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        end_processes_below(self.0.root());
        unmount_below(self.0.root());
    }
}

#[test]
fn a_private_daemon_builds_keeps_its_cache_and_is_gone_afterwards() {
    let own = Own::new("own", &["mkdir /out && echo made >/out/file"]);
    let first = own.build().run().ok();
    own.assert_gone();
    let image = Image::read(&own.0.path("app.tar"));
    image.check();
    assert!(!first.steps().is_cached("mkdir /out"));
    assert!(own.0.path("home/.cache/peelbox").is_dir());

    let second = own.build().run().ok();
    own.assert_gone();
    assert_eq!(second.steps().worked(), Vec::<&str>::new(), "the cache was kept");
    assert_eq!(Image::read(&own.0.path("app.tar")).digest(), image.digest());
    eprintln!("first {:?}, again {:?}", first.elapsed, second.elapsed);
}

#[test]
fn an_interrupted_build_ends_its_private_daemon() {
    let own = Own::new("own-interrupted", &["echo under way since $((40 + 2)); sleep 4321.5"]);
    let mut running = own.build().args(["-v"]).start();
    running.wait_for("\"logs\"");
    assert!(!own.processes().is_empty());
    running.signal(Signal::INT);
    drop(running.finish().ended(130));
    own.assert_gone();
}

#[test]
fn a_killed_client_takes_its_private_daemon_with_it() {
    let own = Own::new("own-killed", &["echo under way since $((40 + 2)); sleep 4321.6"]);
    let mut running = own.build().start();
    running.wait_for("\"logs\"");
    running.signal(Signal::KILL);
    assert_eq!(running.finish().signal, Some(9));
    eventually("the private daemon is gone", Duration::from_secs(30), || {
        own.processes().is_empty().then_some(())
    });
    eventually("its folder is gone", Duration::from_secs(10), || {
        fs::read_dir(own.0.path("run")).unwrap().next().is_none().then_some(())
    });
    own.assert_gone();
}

#[test]
fn without_buildkitd_on_path_daemonless_says_what_to_install() {
    let own = Own::new("own-none", &["true"]);
    let run = own.bare().env("PATH", own.0.path("home")).run().ended(3);
    drop(run.says(&["`buildkitd`", "PATH", "hint: "]));
}

#[test]
fn a_private_daemon_that_does_not_start_shows_its_log() {
    let own = Own::new("own-broken", &["true"]);
    fs::write(own.0.path("broken.toml"), "this is no TOML [").unwrap();
    let spec = own.0.spec().to_str().unwrap().to_owned();
    let absent = format!("unix://{}", own.0.path("absent.sock").display());
    let bin = Path::new(&daemon::variable("PEELBOX_TEST_BUILDKITD")).parent().unwrap().to_owned();
    let run = own
        .0
        .peelbox()
        .args(["build", "--spec", &spec, "--output", "type=none", "--buildkit", &absent])
        .args(["--daemonless", "--buildkitd-config", "broken.toml"])
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()))
        .env("XDG_RUNTIME_DIR", own.0.path("run"))
        .run()
        .ended(3);
    drop(run.says(&["ended before it answered", "\n  | ", "toml"]));
    own.assert_gone();
}
