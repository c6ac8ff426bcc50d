//! A node with a data folder of its own, on a free port.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::processes::{self, Server};

pub const MUSTER: &str = env!("CARGO_BIN_EXE_muster");
const APP: &str = "1400000000";
const ADMIN: &str = "administrator";
/// Between two looks at a page of a node.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What the workloads need beyond the shipped configuration: they create more than 10,000 groups a day, and ask for
/// groups of 20,000.
pub const WORKLOADS: [(&str, &str); 2] = [("limits.daily_net_groups", "0"), ("limits.max_members.public", "20000")];
/// No bound on the members of a group.
pub const LARGE_GROUPS: [(&str, &str); 2] = [("limits.daily_net_groups", "0"), ("limits.max_members.public", "0")];
/// A node is at rest when it wrote less than this within a second.
const REST_BYTES_PER_SEC: u64 = 64 * 1024;
/// Longest wait for that.
const REST_WAIT: Duration = Duration::from_secs(60);

/// How a node ends before it is started again.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    Kill,
    Stop,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    server: Option<Server>,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// Says who asks, in every request.
    pub query: String,
}

impl Node {
    /// Starts a node with an empty data folder inside `scratch`; settings are `section.key` and value.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start(scratch: &Path, settings: &[(&str, &str)]) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("node-").tempdir_in(scratch)?;
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut node = Self { server: None, folder, settings, query: String::new() };
        node.serve()?;
        let usersig = processes::output(node.muster().args(["usersig", "--app", APP, "--user", ADMIN]))?;
        node.query = format!("sdkappid={APP}&identifier={ADMIN}&usersig={}", usersig.trim());
        Ok(node)
    }

    /// Ends it, starts it again, and says how long it was until it took requests.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(&mut self, ending: Ending) -> Outcome<Duration> {
        if let Some(server) = self.server.take() {
            match ending {
                Ending::Kill => server.kill(),
                Ending::Stop => server.stop()?,
            }
        }
        self.serve()
    }

    /// Stops it in order; its data folder goes, too.
    ///
    /// # Errors
    /// If it does not stop well.
    pub fn stop(mut self) -> Outcome<()> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    fn serve(&mut self) -> Outcome<Duration> {
        let begin = Instant::now();
        let log = self.folder.path().join("log");
        let mut server = Server::start(self.muster().arg("serve"), &log)?;
        while server.get("/readyz").is_none_or(|(status, _)| status != 200) {
            server.check()?;
            std::thread::sleep(LOOK_EVERY);
        }
        self.server = Some(server);
        Ok(begin.elapsed())
    }

    fn muster(&self) -> Command {
        let mut command = Command::new(MUSTER);
        command
            .env("MUSTER__NODE__DATA_DIR", self.data())
            .env("MUSTER__HTTP__LISTEN", "127.0.0.1:0")
            .env("MUSTER__CLUSTER__LISTEN", "")
            .env("MUSTER__ADMIN__LISTEN", "");
        for (key, value) in &self.settings {
            command.env(format!("MUSTER__{}", key.to_uppercase().replace('.', "__")), value);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("a node runs from its start to its stop")
    }

    pub fn address(&self) -> &str {
        &self.server().address
    }

    pub fn pid(&self) -> u32 {
        self.server().pid()
    }

    /// Bytes of memory in use, 0 if that is not known.
    pub fn resident_bytes(&self) -> u64 {
        processes::resident_bytes(self.pid()).unwrap_or(0)
    }

    /// Bytes written towards the disk since its start.
    pub fn written_bytes(&self) -> u64 {
        processes::written_bytes(self.pid()).unwrap_or(0)
    }

    /// Bytes its data folder takes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        processes::disk_bytes(&self.data())
    }

    /// A value of `/metrics` without labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.server().get("/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Waits until the node has nothing left to write: compactions are over.
    pub fn rest(&self) {
        let begin = Instant::now();
        let mut written = self.written_bytes();
        while begin.elapsed() < REST_WAIT {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.written_bytes();
            if now.saturating_sub(written) < REST_BYTES_PER_SEC {
                return;
            }
            written = now;
        }
    }
}
