//! Processes that the report started, and what they have used so far. However the report ends, they end with it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use crate::Outcome;

/// Recovery reads the log: a process that has not said its address by then will not.
const ADDRESS_WAIT: Duration = Duration::from_secs(600);
/// For an answer to a page of a node.
const PAGE_WAIT: Duration = Duration::from_secs(5);
/// Bytes of a log that are shown where a process failed.
const TAIL_BYTES: usize = 600;
/// What `st_blocks` counts. Source: stat(2).
const BLOCK_BYTES: u64 = 512;

/// What is left behind if the report is interrupted.
static LEFT: Mutex<Left> = Mutex::new(Left { pids: BTreeSet::new(), scratch: None, peer_stop: None });

struct Left {
    pids: BTreeSet<u32>,
    scratch: Option<PathBuf>,
    peer_stop: Option<String>,
}

fn left() -> std::sync::MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Removes this folder when the report is interrupted.
pub fn remove_at_interrupt(scratch: &Path) {
    left().scratch = Some(scratch.to_owned());
}

/// Runs this command when the report is interrupted; `None`: nothing runs any more.
pub fn run_at_interrupt(command: Option<&str>) {
    left().peer_stop = command.map(str::to_owned);
}

/// Ends the process on SIGINT and SIGTERM, with everything that was started.
///
/// # Errors
/// Whatever watching for signals gives.
pub fn end_at_signal() -> Outcome<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        crate::say("interrupted: stopping what was started");
        let left = left();
        for pid in &left.pids {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        if let Some(command) = &left.peer_stop {
            let _ = shell(command).status();
        }
        if let Some(folder) = &left.scratch {
            let _ = fs::remove_dir_all(folder);
        }
        std::process::exit(130);
    });
    Ok(())
}

/// A command line for the shell, without input and with what it prints thrown away.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A process that serves, and is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Held open: a process that prints more must not fail by it.
    _stdout: ChildStdout,
    pub address: String,
    pub log: PathBuf,
}

impl Server {
    /// Starts a process that prints one line ending in its address; what it says on stderr goes to `log`.
    ///
    /// # Errors
    /// If it does not start, with the end of its log.
    pub fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        let stderr = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        left().pids.insert(child.id());
        let stdout = child.stdout.take().ok_or("a process without stdout")?;
        let mut child = Some(child);
        let mut failed = |why: &str| {
            if let Some(child) = child.as_mut() {
                end(child);
            }
            format!("{why}: {}", tail(log))
        };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = stdout;
            let line = read_line(&mut stdout);
            // Nobody waits any more: then nobody needs the line.
            let _ = sender.send((line, stdout));
        });
        let (line, stdout) = receiver.recv_timeout(ADDRESS_WAIT).map_err(|_| failed("no address within 10 minutes"))?;
        let address = line.trim().rsplit(['/', ' ']).next().unwrap_or_default().to_owned();
        if address.is_empty() {
            return Err(failed("it ended at its start").into());
        }
        let child = child.take().ok_or("it failed")?;
        Ok(Self { child, _stdout: stdout, address, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        end(&mut self.child);
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// If it ends with anything but success.
    pub fn stop(mut self) -> Outcome<()> {
        let asked = Command::new("kill").arg(self.pid().to_string()).status()?;
        let ended = self.child.wait()?;
        left().pids.remove(&self.pid());
        if asked.success() && ended.success() {
            return Ok(());
        }
        Err(format!("the node stopped with {ended}: {}", tail(&self.log)).into())
    }

    /// Asks for a page; gives status and body.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PAGE_WAIT)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((status, answer))
    }

    /// Whether it is still running.
    ///
    /// # Errors
    /// If it ended, with the end of its log.
    pub fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("it ended with {status}: {}", tail(&self.log)).into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended before.
    let _ = child.kill();
    let _ = child.wait();
    left().pids.remove(&child.id());
}

/// Reads no further than the line: what follows stays in the pipe.
fn read_line(stdout: &mut ChildStdout) -> String {
    let mut line = String::new();
    // Text that is no UTF-8 is no address either.
    let _ = BufReader::with_capacity(1, stdout).read_line(&mut line);
    line
}

/// The last words of a log, on one line.
pub fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let last = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    String::from_utf8_lossy(last).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end; gives what it printed.
///
/// # Errors
/// If it fails, with the end of what it said.
pub fn output(command: &mut Command) -> Outcome<String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    left().pids.insert(pid);
    let output = child.wait_with_output();
    left().pids.remove(&pid);
    let output = output?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it said nothing");
    Err(format!("{} ended with {}: {last}", command.get_program().to_string_lossy(), output.status).into())
}

/// Bytes of memory that a process has in use (`VmRSS`).
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Bytes that a process has sent towards its disk (`write_bytes`).
pub fn written_bytes(pid: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Bytes that a folder takes on the disk.
pub fn disk_bytes(folder: &Path) -> u64 {
    // A file may go while we look: the database removes its own.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let inside = if metadata.is_dir() { disk_bytes(&entry.path()) } else { 0 };
            Some(metadata.blocks() * BLOCK_BYTES + inside)
        })
        .sum()
}
