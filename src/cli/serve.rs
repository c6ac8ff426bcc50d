//! `muster serve`: runs a node until it is told to stop, and again after its disk failed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::FAILED;
use crate::config::Config;
use crate::node::{Addresses, Node, NodeError};

/// What a disk must take, written and flushed, before a node that lost it tries again.
const PROBE_BYTES: usize = 16 * 1024 * 1024;
const PROBE_FILE: &str = "probe.tmp";
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Set for the process that takes over after a storage failure: it may find the disk failing again.
const RESTARTED: &str = "MUSTER_RESTARTED_AFTER_STORAGE_FAILURE";
/// How often such a process tries to open the folder, one [`PROBE_EVERY`] apart.
const REOPEN_ATTEMPTS_MAX: u32 = 60;
/// What is under way gets so long when requests are over: the last flush, and what the database has begun.
///
/// Too small: a slow disk makes a failure of every stop. Too large: whoever runs the node kills it first, and nobody
/// hears why it did not stop.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a node; returns when it was told to stop.
///
/// A node whose disk failed starts itself again once the disk takes writes. One that met damage does not: it stays,
/// serves nothing, and `/readyz` names the damage.
///
/// A node that does not stop within `http.shutdown_timeout_ms` and [`LEAVE_TIMEOUT`] ends the process instead, with
/// one line that says why and the exit code of a failure.
///
/// # Errors
/// [`NodeError`] if it does not start, or met damage.
pub fn serve(config: &Config) -> Result<(), NodeError> {
    actix_rt::System::new().block_on(run(config))
}

async fn run(config: &Config) -> Result<(), NodeError> {
    let node = start(config).await?;
    // One for both waits: a node that waits for its disk can be told to stop, too.
    let mut told_to_stop = std::pin::pin!(stop_signal());
    tracing::info!(node = config.node.name, address = %node.address(), "serving");

    let reason = tokio::select! {
        name = &mut told_to_stop => {
            tracing::info!(signal = name, "stopping");
            let for_requests = Duration::from_millis(config.http.shutdown_timeout_ms);
            return stop(node, for_requests + LEAVE_TIMEOUT).await;
        }
        reason = node.storage_failed() => reason,
    };
    if let Some(damage) = node.remember_damage() {
        // Started again, it would serve until the damage is met again. So it stays, and says why it does not serve.
        tracing::error!(error = %damage, "storage failed: nothing is served any more");
        let name = told_to_stop.await;
        tracing::info!(signal = name, "stopping");
        return stop(node, LEAVE_TIMEOUT).await;
    }
    tracing::error!(%reason, "storage failed: nothing is acknowledged until the disk takes writes again");
    tokio::select! {
        name = &mut told_to_stop => {
            tracing::info!(signal = name, "stopping, though the disk takes no writes");
            stop(node, LEAVE_TIMEOUT).await
        }
        () = until_disk_takes_writes(&config.node.data_dir) => Err(restart(node).await),
    }
}

/// Says where the node listens. Nobody may be listening to that, and the node runs all the same.
fn announce(addresses: Addresses) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "muster listens on http://{}", addresses.api);
    if let Some(admin) = addresses.admin {
        let _ = writeln!(out, "muster ctl is answered on http://{admin}");
    }
    let _ = out.flush();
}

async fn start(config: &Config) -> Result<Node, NodeError> {
    let attempts = if std::env::var_os(RESTARTED).is_some() { REOPEN_ATTEMPTS_MAX } else { 1 };
    for _ in 1..attempts {
        match Node::start_and_tell(config, announce).await {
            // Damage does not go away by itself; a full disk does.
            Err(error) if error.may_pass() => {
                tracing::error!(%error, "the data folder still cannot be used");
                tokio::time::sleep(PROBE_EVERY).await;
            }
            other => return other,
        }
    }
    Node::start_and_tell(config, announce).await
}

/// Returns when a probe file of [`PROBE_BYTES`] was written and flushed.
async fn until_disk_takes_writes(data_dir: &Path) {
    let path: PathBuf = data_dir.join(PROBE_FILE);
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        let probe = path.clone();
        let took = tokio::task::spawn_blocking(move || {
            let written = std::fs::File::create(&probe)
                .and_then(|mut file| file.write_all(&vec![0u8; PROBE_BYTES]).and_then(|()| file.sync_all()));
            let removed = std::fs::remove_file(&probe);
            written.and(removed)
        });
        match took.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(%error, "the disk takes no writes yet"),
            Err(error) => tracing::warn!(%error, "the probe was lost"),
        }
    }
}

/// Replaces this process by a fresh one: after a failed flush nobody knows what the page cache holds, so nothing of
/// the database's memory is kept. Returns only if that fails.
async fn restart(node: Node) -> NodeError {
    tracing::info!("the disk takes writes again: restarting");
    match node.stop(LEAVE_TIMEOUT).await {
        Ok(()) => {}
        Err(error @ NodeError::NotStopped { .. }) => tracing::warn!(%error, "restarting all the same"),
        Err(damage) => return damage,
    }
    match std::env::current_exe() {
        Ok(program) => {
            let error =
                std::process::Command::new(program).args(std::env::args_os().skip(1)).env(RESTARTED, "1").exec();
            NodeError::Restart(error.to_string())
        }
        Err(error) => NodeError::Restart(format!("the program is not found: {error}")),
    }
}

/// Stops a node, or ends the process if it does not stop.
async fn stop(node: Node, within: Duration) -> Result<(), NodeError> {
    match node.stop(within).await {
        Ok(()) => tracing::info!("stopped"),
        Err(error @ NodeError::NotStopped { .. }) => give_up(&error),
        Err(damage) => return Err(damage),
    }
    Ok(())
}

/// Ends the process with everything that still waits for the disk in it, as `kill -9` does; what was acknowledged is
/// flushed, so nothing is lost by that.
fn give_up(error: &NodeError) -> ! {
    eprintln!("muster: {error}");
    // Not `std::process::exit`: what runs at the exit of the database waits for the same threads.
    // SAFETY: it ends the process and runs nothing of it.
    unsafe { libc::_exit(FAILED.into()) }
}

async fn stop_signal() -> &'static str {
    let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(term), Ok(int)) => (term, int),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be watched");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
