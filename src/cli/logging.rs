//! Logs: human or JSON, to stderr, so that stdout holds only what a command answers.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Libraries that tell their inner life at info; a filter that names them wins.
///
/// openraft warns of every heartbeat that finds nobody, and of whatever belongs to a term gone by; who cannot be reached
/// is said once by the link to it. tarpc calls each deadline that passes an error; whoever set it knows what that means.
/// actix calls each request that is no HTTP an error; anybody could fill the log, and who sent it is told.
const QUIET: &str = "openraft=error,tarpc=error,tarpc::client::in_flight_requests=off,tarpc::server::in_flight_requests=off,\
                     actix_server=warn,actix_http::h1::dispatcher=off";

/// Starts logging for this process.
///
/// # Errors
/// The level is no filter that the subscriber understands.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level))
        .map_err(|error| format!("configuration key log.level: {error}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Human => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}
