//! Real nodes in real processes, and a client that signs like an app server.
//!
//! Included by every test binary that needs a node; each test gets its own data folder and a free port.
#![allow(dead_code, reason = "not every binary uses all of it")]

pub mod contract;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

pub const APP: u32 = 1_400_000_000;
pub const OTHER_APP: u32 = 1_400_000_001;
pub const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
pub const ADMIN: &str = "administrator";
/// How long a node may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node may take to end after SIGTERM; it gives requests in flight `http.shutdown_timeout_ms`.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Often enough for what is done to a node in the middle of its work.
const UNTIL_EVERY: Duration = Duration::from_millis(1);

/// How a node of a test is started.
#[derive(Clone, Default)]
pub struct Settings {
    /// Lines of TOML after the apps, whole sections: `[limits]\ndaily_net_groups = 0\n`.
    pub toml: String,
    pub environment: Vec<(String, String)>,
    /// Configures no app: the node makes its own, as a fresh install does.
    pub without_apps: bool,
}

/// A node in a process of its own.
pub struct Node {
    pub address: SocketAddr,
    pub folder: tempfile::TempDir,
    settings: Settings,
    child: Child,
    /// The port named last: a node that restarts itself listens on another free one.
    port: Arc<AtomicU16>,
    /// Where `muster ctl` was said to be answered last.
    admin: Arc<Mutex<Option<SocketAddr>>>,
}

impl Node {
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    pub fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the node");
        Self::try_start_in(folder, settings).unwrap_or_else(|(_, error)| panic!("the node did not start: {error}"))
    }

    /// Starts a node on a folder; hands the folder and what the process said back if it does not serve.
    pub fn try_start_in(folder: tempfile::TempDir, settings: Settings) -> Result<Self, (tempfile::TempDir, String)> {
        let mut child = spawn(&folder, &settings);
        let (port, admin, addresses) = announced(child.stdout.take().expect("its output"));
        // The program ends its output when it exits, and the thread that reads it ends the channel.
        if let Ok(address) = addresses.recv_timeout(START_TIMEOUT) {
            return Ok(Self { address, folder, settings, child, port, admin });
        }
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        Err((folder, said))
    }

    /// Where the node listens now, also after it restarted itself.
    pub fn current_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.port.load(Ordering::Relaxed))
    }

    /// Where the node answers `muster ctl`.
    pub fn admin_address(&self) -> SocketAddr {
        let began = Instant::now();
        loop {
            if let Some(address) = *self.admin.lock().expect("no panic under the lock") {
                return address;
            }
            assert!(began.elapsed() < START_TIMEOUT, "the node names no admin endpoint");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the node logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `kill -9`; the folder stays.
    pub fn kill(mut self) -> Stopped {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
        self.stopped()
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(self) -> (Stopped, ExitStatus) {
        self.signal_term();
        self.wait()
    }

    /// SIGTERM; to be followed by [`Node::wait`].
    pub fn signal_term(&self) {
        // SAFETY: kill takes any pid and signal number; this child has not been waited for yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
    }

    /// Waits for the end of a node that was told to stop.
    ///
    /// # Panics
    /// If it goes on longer than [`STOP_TIMEOUT`].
    pub fn wait(mut self) -> (Stopped, ExitStatus) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return (self.stopped(), status);
            }
            assert!(began.elapsed() < STOP_TIMEOUT, "the node did not stop within {STOP_TIMEOUT:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn stopped(mut self) -> Stopped {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("an empty folder"));
        Stopped { folder, settings: self.settings.clone() }
    }

    /// A client of this node's first app.
    pub async fn client(&self) -> Client {
        Client::connect(self.address, APP, KEY).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the node ---\n{}", self.log());
        }
    }
}

/// A node that is down, with its folder.
pub struct Stopped {
    pub folder: tempfile::TempDir,
    pub settings: Settings,
}

impl Stopped {
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the node and kills it a moment later, wherever its start has come to.
    pub fn start_and_kill(self, after: Duration) -> Self {
        let mut child = spawn(&self.folder, &self.settings);
        std::thread::sleep(after);
        child.kill().expect("a process to kill");
        child.wait().expect("its end");
        self
    }

    pub fn start(self) -> Node {
        let settings = self.settings;
        Node::try_start_in(self.folder, settings)
            .unwrap_or_else(|(_, error)| panic!("the node did not start again: {error}"))
    }

    /// Runs `muster doctor` and insists that it finds nothing.
    pub fn examine(&self) {
        let (said, healthy) = doctor(&self.data_dir());
        assert!(healthy, "{said}");
    }
}

/// Starts the program on a folder, with its configuration and its log beside its data.
fn spawn(folder: &tempfile::TempDir, settings: &Settings) -> Child {
    let config = folder.path().join("muster.toml");
    let apps = match settings.without_apps {
        true => String::new(),
        false => format!(
            "apps = [\n  {{ id = {APP}, key = \"{KEY}\", admins = [\"{ADMIN}\"] }},\n  {{ id = {OTHER_APP}, key = \"{OTHER_KEY}\", admins = [\"{ADMIN}\"] }},\n]\n"
        ),
    };
    let data = folder.path().join("data");
    let text = format!("{apps}[node]\ndata_dir = \"{}\"\n{}", data.display(), settings.toml);
    std::fs::write(&config, text).expect("the node's configuration");
    let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command
        .args(["serve", "--config"])
        .arg(&config)
        .env("MUSTER__HTTP__LISTEN", "127.0.0.1:0")
        .env("MUSTER__CLUSTER__LISTEN", "127.0.0.1:0")
        .env("MUSTER__ADMIN__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    for (name, value) in &settings.environment {
        command.env(name, value);
    }
    spawn_bound(command).expect("the muster program")
}

/// Starts a process that ends when this one does, also when this one is killed: a paused node would stay for ever.
///
/// The system ends it with the *thread* that started it, so one thread starts them all.
fn spawn_bound(mut command: Command) -> std::io::Result<Child> {
    type Started = mpsc::Sender<std::io::Result<Child>>;
    static STARTER: LazyLock<mpsc::Sender<(Command, Started)>> = LazyLock::new(|| {
        let (sender, commands) = mpsc::channel::<(Command, Started)>();
        std::thread::spawn(move || {
            for (mut command, started) in commands {
                let _ = started.send(command.spawn());
            }
        });
        sender
    });
    // SAFETY: prctl is safe between fork and exec: it takes numbers and touches no memory.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let (sender, started) = mpsc::channel();
    STARTER.send((command, sender)).expect("the thread that starts processes");
    started.recv().expect("the thread that starts processes")
}

type Announced = (Arc<AtomicU16>, Arc<Mutex<Option<SocketAddr>>>, mpsc::Receiver<SocketAddr>);

/// Reads a node's output as long as it lives: the port it named last, where it answers `muster ctl`, and the addresses it
/// names as they come.
fn announced(output: ChildStdout) -> Announced {
    let (port, admin) = (Arc::new(AtomicU16::new(0)), Arc::default());
    let (sender, addresses) = mpsc::channel();
    let (newest, newest_admin): (_, Arc<Mutex<Option<SocketAddr>>>) = (port.clone(), Arc::clone(&admin));
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let named = |what: &str| line.trim().strip_prefix(what).map(|address| address.parse().expect("an address"));
            if let Some(address) = named("muster ctl is answered on http://") {
                *newest_admin.lock().expect("no panic under the lock") = Some(address);
            }
            let Some(address): Option<SocketAddr> = named("muster listens on http://") else { continue };
            newest.store(address.port(), Ordering::Relaxed);
            // Whoever started the node waits for the first one only.
            let _ = sender.send(address);
        }
    });
    (port, admin, addresses)
}

/// Starts a node in a folder of its own; what the process said if it does not serve.
pub fn try_start(settings: Settings) -> Result<Node, String> {
    Node::try_start_in(tempfile::tempdir().expect("a folder for the node"), settings).map_err(|(_, said)| said)
}

/// What `muster ctl` said, and its exit code.
#[derive(Debug)]
pub struct CtlSaid {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `muster ctl` on an admin endpoint with the key in a file.
pub fn ctl(command: &[&str], admin: SocketAddr, key_file: &Path) -> CtlSaid {
    let output = Command::new(env!("CARGO_BIN_EXE_muster"))
        .arg("ctl")
        .args(command)
        .args(["--admin", &admin.to_string(), "--key-file"])
        .arg(key_file)
        .output()
        .expect("the muster program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    CtlSaid { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs `muster doctor` on a folder; what it said, and whether it found nothing.
pub fn doctor(data_dir: &Path) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["doctor", "--data"])
        .arg(data_dir)
        .output()
        .expect("the muster program");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (said, output.status.success())
}

/// Looks until the condition holds.
///
/// # Panics
/// If it does not within `bound`.
pub async fn until(what: &str, bound: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < bound, "{what}: not within {bound:?}");
        tokio::time::sleep(UNTIL_EVERY).await;
    }
}

pub fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// The query of a signed call.
pub fn query(app: u32, key: &str, identifier: &str) -> String {
    let usersig = muster::api::auth::sign(key, app, identifier, now_secs(), 3600, None);
    format!("sdkappid={app}&identifier={identifier}&usersig={usersig}&random=7&contenttype=json")
}

/// One keep-alive connection that signs its calls.
pub struct Client {
    address: SocketAddr,
    query: String,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
    /// What requests show as the admin endpoint wants it; none do by themselves.
    pub authorization: Option<String>,
}

impl Client {
    pub async fn connect(address: SocketAddr, app: u32, key: &str) -> Self {
        Self::to(address, app, key)
    }

    /// One that connects when it has something to say.
    pub fn to(address: SocketAddr, app: u32, key: &str) -> Self {
        Self { address, query: query(app, key, ADMIN), sender: None, authorization: None }
    }

    /// Connects if there is no connection.
    ///
    /// # Errors
    /// There can be none: nothing was sent.
    pub async fn reach(&mut self) -> Result<(), String> {
        if self.sender.as_ref().is_none_or(http1::SendRequest::is_closed) {
            self.sender = Some(self.open().await?);
        }
        Ok(())
    }

    async fn open(&self) -> Result<http1::SendRequest<Full<Bytes>>, String> {
        let stream = tokio::net::TcpStream::connect(self.address).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        sender.ready().await.map_err(|e| e.to_string())?;
        Ok(sender)
    }

    /// Sends a request as it is; status and body. The answer of a command has to be as the node itself describes it.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn raw(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> Result<(u16, Bytes), String> {
        if contract::document().is_none() {
            contract::learn(&self.send("GET", "/openapi.json", Bytes::new()).await?.1);
        }
        let (status, answer) = self.send(method, path, body.into()).await?;
        // Of the HTTP server itself, which did not wait for the rest of a request: a process that was paused finds its
        // timers over when it goes on.
        if status == 408 && answer.is_empty() {
            return Err("the request was not read".into());
        }
        if method != "HEAD"
            && let Some(complaint) = contract::complaint(path, &answer)
        {
            panic!("{complaint}");
        }
        Ok((status, answer))
    }

    /// Sends a request to something that is not the API.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn bare(&mut self, method: &str, path: &str) -> Result<(u16, Bytes), String> {
        self.send(method, path, Bytes::new()).await
    }

    async fn send(&mut self, method: &str, path: &str, body: Bytes) -> Result<(u16, Bytes), String> {
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        if let Some(shown) = &self.authorization {
            request.headers_mut().insert("authorization", shown.parse().map_err(|_| "no header".to_owned())?);
        }
        let (sender, answer) = loop {
            let kept = self.sender.take();
            let is_fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.open().await?,
            };
            match sender.try_send_request(request).await {
                Ok(answer) => break (sender, answer),
                // The node closed a kept connection after its last answer: nothing of this request was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_fresh => request = unsent,
                    _ => return Err(error.into_error().to_string()),
                },
            }
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        self.sender = Some(sender);
        Ok((status, body))
    }

    /// Calls a group command; the answer as JSON.
    ///
    /// # Errors
    /// No whole answer came: the outcome is unknown.
    pub async fn try_call(&mut self, command: &str, body: &Value) -> Result<Value, String> {
        let path = format!("/v4/group_open_http_svc/{command}?{}", self.query);
        let (status, answer) = self.raw("POST", &path, body.to_string()).await?;
        assert_eq!(status, 200, "{command}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).map_err(|e| e.to_string())
    }

    /// Calls a group command that gets an answer for certain.
    pub async fn call(&mut self, command: &str, body: Value) -> Value {
        self.try_call(command, &body).await.unwrap_or_else(|e| panic!("{command} {body}: no answer: {e}"))
    }

    /// Calls a group command and insists on OK.
    pub async fn ok(&mut self, command: &str, body: Value) -> Value {
        let answer = self.call(command, body.clone()).await;
        assert_eq!(answer["ErrorCode"], 0, "{command} {body}: {answer}");
        assert_eq!(answer["ActionStatus"], "OK", "{command} {body}: {answer}");
        answer
    }

    /// Calls a group command and insists on a code; the whole answer.
    pub async fn refused(&mut self, command: &str, body: Value, code: u32) -> Value {
        let answer = self.call(command, body.clone()).await;
        assert_eq!(answer["ErrorCode"], code, "{command} {body}: {answer}");
        assert_eq!(answer["ActionStatus"], "FAIL", "{command} {body}: {answer}");
        answer
    }
}
