//! Another server that speaks the same REST API, to be measured in turn with Muster. It is no part of this repository:
//! the environment says how to start, stop and reach it.

use std::env;
use std::fs;

use crate::Outcome;
use crate::processes::{run_at_interrupt, shell};

/// How a peer is handled.
#[derive(Clone, Debug)]
pub struct Peer {
    /// In tables.
    pub name: String,
    start: String,
    stop: String,
    pub address: String,
    pub query: String,
    /// Files whose first line is the id of a process whose time counts, with its children.
    pid_files: Vec<String>,
}

/// A peer that runs until this is dropped.
pub struct Running<'a> {
    peer: &'a Peer,
}

impl Peer {
    /// Reads `PEER_START`, `PEER_STOP`, `PEER_ADDR`, `PEER_QUERY`, and if there are `PEER_PID_FILES` and `PEER_NAME`.
    /// No `PEER_ADDR`: no peer.
    ///
    /// # Errors
    /// Names what is missing beside the address.
    pub fn from_env() -> Outcome<Option<Self>> {
        let Some(address) = env::var("PEER_ADDR").ok().filter(|address| !address.is_empty()) else { return Ok(None) };
        let needed = |name: &str| env::var(name).map_err(|_| format!("PEER_ADDR is set, but {name} is not"));
        let pid_files = env::var("PEER_PID_FILES").unwrap_or_default();
        Ok(Some(Self {
            name: env::var("PEER_NAME").unwrap_or_else(|_| "peer".to_owned()),
            start: needed("PEER_START")?,
            stop: needed("PEER_STOP")?,
            address,
            query: needed("PEER_QUERY")?,
            pid_files: pid_files.split_whitespace().map(str::to_owned).collect(),
        }))
    }

    /// Starts it.
    ///
    /// # Errors
    /// If the command fails.
    pub fn start(&self) -> Outcome<Running<'_>> {
        run_at_interrupt(Some(&self.stop));
        let running = Running { peer: self };
        let status = shell(&self.start).status()?;
        if !status.success() {
            return Err(format!("PEER_START ended with {status}").into());
        }
        Ok(running)
    }
}

impl Running<'_> {
    /// The processes whose time counts.
    ///
    /// # Errors
    /// If a file holds no process id.
    pub fn pids(&self) -> Outcome<Vec<u32>> {
        let read = |file: &String| -> Outcome<u32> {
            let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let first = text.lines().next().unwrap_or_default().trim();
            first.parse().map_err(|_| format!("{file} holds no process id").into())
        };
        self.peer.pid_files.iter().map(read).collect()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !shell(&self.peer.stop).status().is_ok_and(|status| status.success()) {
            crate::say("PEER_STOP failed: the peer may still be running");
        }
        run_at_interrupt(None);
    }
}
