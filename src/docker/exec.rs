//! A program in a container as a connection: `docker exec`, without the docker program.

use std::time::Instant;

use serde::Deserialize;

use crate::{
    docker::{
        ANSWER_TIMEOUT, Engine, EngineError, decode, dial, http, http::Escaped, http::Protocol,
    },
    transport::{Socket, tls::Inside},
};

/// Why a container gives no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContainerError {
    /// There is none of that name.
    Missing,
    /// It is stopped or paused; the engine's words.
    NotRunning(String),
    /// The engine failed otherwise.
    Engine(EngineError),
}

impl Engine {
    /// Starts `command` in `container`; its standard input and output are the socket, its standard error goes to the
    /// socket's witness.
    ///
    /// That the program cannot be started shows only in what is read: the engine's words in place of the program's.
    ///
    /// # Errors
    /// See [`ContainerError`].
    pub fn exec(&self, container: &str, command: &[&str]) -> Result<Socket, ContainerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        let request = serde_json::json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": command,
        });
        let path = format!("/containers/{}/exec", Escaped(container));
        let created = self.post(&path, &request.to_string()).map_err(|e| match e {
            EngineError::Refused { status: 404, .. } => ContainerError::Missing,
            EngineError::Refused { status: 409, message } => ContainerError::NotRunning(message),
            e => ContainerError::Engine(e),
        })?;
        let Created { id } = decode(&created).map_err(ContainerError::Engine)?;
        self.start_exec(&id).map_err(ContainerError::Engine)
    }

    fn start_exec(&self, id: &str) -> Result<Socket, EngineError> {
        let mut socket = dial(&self.host, Inside::Http1, self.connect_timeout)?;
        let path = self.path(&format!("/exec/{}/start", Escaped(id)));
        let body = r#"{"Detach":false,"Tty":false}"#;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        http::upgrade(&mut socket, &path, Protocol::Tcp, body, deadline)?;
        socket.demultiplex();
        Ok(socket)
    }
}
