//! RoadRunner: a server in Go whose workers are programs of PHP, set up in `.rr.yaml`.

use super::{Composer, OUT_DIR, PORT};
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{draft::within, source},
    join, shell,
};

/// The release that is fetched where Composer does not install its own tool for that.
const RELEASE: &str = "2024.3.2";

/// What a `.rr.yaml` says.
pub(super) struct RoadRunner {
    path: String,
    port: Option<(u16, usize)>,
    /// `vendor/bin/rr` fetches the release that fits the packages.
    has_cli: bool,
}

/// The settings of a project that has RoadRunner's packages.
pub(super) fn find(
    project: &Project<'_>,
    dir: &str,
    composer: Option<&Composer>,
) -> Option<RoadRunner> {
    let path = join(dir, ".rr.yaml");
    let settings = project.tree.yaml(&path)?;
    let composer = composer?;
    let names = composer.names();
    let is_used = names.iter().any(|name| name.starts_with("spiral/"));
    settings.at(&["server", "command"]).filter(|_| is_used)?;
    let address = settings.at(&["http", "address"]);
    let port = address.and_then(|address| Some((source::number(&address.text()?)?, address.line)));
    let has_cli = names.iter().any(|name| name == "spiral/roadrunner-cli");
    Some(RoadRunner { path, port, has_cli })
}

impl RoadRunner {
    /// Fetches the server, and starts it.
    pub(super) fn serve(&self, service: &mut Service) {
        let dir = service.dir.clone();
        let fetch = match self.has_cli {
            true => within(
                &dir,
                &format!(
                    "mkdir -p {OUT_DIR} && php vendor/bin/rr get-binary --location {OUT_DIR} --no-interaction"
                ),
            ),
            false => format!(
                "mkdir -p {OUT_DIR} && curl -fsSL https://github.com/roadrunner-server/roadrunner/releases/download/v{RELEASE}/roadrunner-{RELEASE}-linux-$(dpkg --print-architecture).tar.gz | tar -xz -C {OUT_DIR} --strip-components=1"
            ),
        };
        service.spec.build.commands.push(fetch);
        service.copy(&format!("{OUT_DIR}/rr"), "/usr/local/bin/rr");
        service.weight = service.weight.max(Weight::Framework);
        let port = self.port.map_or(PORT, |(port, _)| port);
        // The address may be of the loopback alone.
        let line = format!("rr serve -c .rr.yaml -o http.address=0.0.0.0:{port}");
        let words = shell::exec_form(&line);
        let place = Evidence::file(&self.path);
        service.start(words.iter().map(String::as_str), "settings of RoadRunner", [place]);
        let seen = Evidence::line(&self.path, self.port.map(|(_, line)| line));
        service.port(port, "http.address", [seen]);
    }
}
