//! What flags and variables say of daemons → the places that are tried.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{
    cli::{
        args::DaemonArgs,
        env::Environment,
        error::{connect_error, tls_error},
    },
    connect::{self, Builder, DockerPlaces, Places, Private},
    daemonless::Notice,
    error::Error,
    grpc::Cancel,
    transport::tls::TlsFiles,
};

/// Connects to the first place that gives a builder; `wants_docker`: the image shall be in Docker.
pub(crate) fn reach(
    args: &DaemonArgs,
    env: &Environment,
    wants_docker: bool,
    cancel: &Cancel,
) -> Result<Builder, Error> {
    let places = places(args, env)?;
    let is_told = AtomicBool::new(false);
    let on_notice = |notice: Notice<'_>| {
        if let (Notice::WaitingForLock(path), false) =
            (notice, is_told.swap(true, Ordering::Relaxed))
        {
            let text = "waiting for another build with a private daemon";
            // Without a standard error the wait is silent.
            drop(writeln!(io::stderr(), "{text} ({})", path.display()));
        }
    };
    connect::connect(&places, wants_docker, cancel, &on_notice).map_err(connect_error)
}

pub(crate) fn places(args: &DaemonArgs, env: &Environment) -> Result<Places, Error> {
    Ok(Places {
        address: args.buildkit.clone(),
        buildkit_host: env.buildkit_host.clone(),
        docker: DockerPlaces {
            docker_host: env.docker_host.clone(),
            docker_context: env.docker_context.clone(),
            tls_verify: env.docker_tls_verify,
            tls: env.docker_tls,
            cert_path: env.docker_cert_path.clone(),
            config_dir: env.docker_config.clone(),
            xdg_runtime_dir: env.xdg_runtime_dir.clone(),
        },
        tls: tls_files(args, env)?,
        connect_timeout: Duration::from_secs(args.connect_timeout),
        wait: args.wait.map(Duration::from_secs),
        private: args.daemonless.then(|| Private {
            config: args.buildkitd_config.clone(),
            cache_dir: env.cache_dir.clone(),
            runtime_dir: env.runtime_dir.clone(),
        }),
        search_path: env.path.clone(),
    })
}

/// Which TLS files were named, by flags and then by variables.
fn tls_files(args: &DaemonArgs, env: &Environment) -> Result<TlsFiles, Error> {
    // Of no use beside flags for all that is in it.
    let is_complete = args.tlscacert.is_some() && args.tlscert.is_some() && args.tlskey.is_some();
    let dir = args.tlsdir.as_ref().or_else(|| env.tls.dir.as_ref().filter(|_| !is_complete));
    let mut files = match dir {
        Some(dir) => TlsFiles::in_dir(dir).map_err(tls_error)?,
        None => TlsFiles::default(),
    };
    // A folder that was typed counts more than files of the environment.
    let by_variable = |file: &Option<PathBuf>| file.clone().filter(|_| args.tlsdir.is_none());
    let single = [
        (&mut files.ca, args.tlscacert.clone().or_else(|| by_variable(&env.tls.ca))),
        (&mut files.cert, args.tlscert.clone().or_else(|| by_variable(&env.tls.cert))),
        (&mut files.key, args.tlskey.clone().or_else(|| by_variable(&env.tls.key))),
    ];
    for (slot, named) in single {
        if named.is_some() {
            *slot = named;
        }
    }
    let name = args.tlsservername.as_ref().or(env.tls.server_name.as_ref());
    files.server_name = name.cloned();
    files.check().map_err(tls_error)?;
    Ok(files)
}
