//! `muster ctl`: asks the admin endpoint of a running node how the cluster fares.
//!
//! Exit codes: 0 all is well; 1 something needs somebody's attention, and the first lines say what; 2 nothing was learnt,
//! with one line on stderr that names the key, file or address at fault.

mod client;
mod table;

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::client::{AskError, Client};
use crate::admin::doctor::DoctorRun;
use crate::admin::status::ClusterStatus;
use crate::config::{self, ADMIN_KEY_FILE, Config, ConfigError, Secret};

/// Something needs somebody's attention.
const ATTENTION: u8 = 1;
/// Nothing was learnt.
const NOT_ASKED: u8 = 2;
/// How long the node may take to answer: it waits for the other nodes, which has a bound of its own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a doctor may take. A billion rows are read in less.
const DOCTOR_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);
/// How often it is asked how far a doctor is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub struct CtlArgs {
    #[command(subcommand)]
    pub command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Shows nodes, shards, leaders, lag and moves; what is wrong comes first.
    ///
    /// Exits with 0 if all is well, with 1 if something needs attention: a shard without a leader, a node that is not
    /// heard or does not serve, a replica that is left behind; with 2 if nothing was learnt, one line on stderr says why.
    Status(AskArgs),
    /// Compares what all nodes say of who leads, the rows of all replicas, and counts and joined lists with rows.
    ///
    /// Changes nothing, and takes as long as there are rows to read. Exits with 0 if nothing differs, with 1 if something
    /// does, or could not be compared, with 2 if nothing was learnt.
    Doctor(AskArgs),
}

/// Whom to ask, and how the answer is shown.
#[derive(Args, Debug)]
pub struct AskArgs {
    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// Configuration file of the node, TOML: says where its admin endpoint is, and its key.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the admin endpoint, if it is not that of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,
    /// File that holds the key of the admin endpoint, if it is not that of the configuration or the data folder.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("admin.listen is empty: the node has no admin endpoint; name another one with --admin")]
    NoEndpoint,
    #[error("admin.listen has port 0: name the address with --admin; the node printed it when it started")]
    AnyPort,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the answer of {address} cannot be read: {reason}; is it of another release than this program?")]
    Answer { address: String, reason: String },
    #[error("the node at {address} was started again before its doctor was done")]
    Lost { address: String },
    #[error("the doctor of {address} is not done after {} h", DOCTOR_TIMEOUT.as_secs() / 3600)]
    Slow { address: String },
}

/// Runs a command, and says with its exit code how things are.
pub fn run(args: &CtlArgs) -> ExitCode {
    let said = match &args.command {
        CtlCommand::Status(ask) => status(ask),
        CtlCommand::Doctor(ask) => doctor(ask),
    };
    match said {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(ATTENTION),
        Err(error) => {
            eprintln!("muster: {error}");
            ExitCode::from(NOT_ASKED)
        }
    }
}

/// Whether all is well.
fn status(args: &AskArgs) -> Result<bool, CtlError> {
    let client = Client::new(target(args)?)?;
    let status: ClusterStatus = read(&client, "GET", "/admin/status")?;
    show(args.json, &status, table::status);
    Ok(status.findings.is_empty())
}

/// Whether nothing differs. Another run that is under way on that node is as good as one of our own.
fn doctor(args: &AskArgs) -> Result<bool, CtlError> {
    let client = Client::new(target(args)?)?;
    let begun: DoctorRun = read(&client, "POST", "/admin/doctor")?;
    let is_watched = !args.json && std::io::stderr().is_terminal();
    let until = Instant::now() + DOCTOR_TIMEOUT;
    while Instant::now() < until {
        let run: DoctorRun = read(&client, "GET", "/admin/doctor")?;
        if run.run != begun.run {
            return Err(CtlError::Lost { address: client.address().to_owned() });
        }
        if is_watched {
            // Over what was there, to the end of the line.
            eprint!("\r{}\x1b[K", if run.report.is_some() { "" } else { &run.doing });
        }
        if let Some(report) = run.report {
            show(args.json, &report, table::doctor);
            return Ok(report.is_healthy());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(CtlError::Slow { address: client.address().to_owned() })
}

fn read<T: DeserializeOwned>(client: &Client, method: &str, path: &str) -> Result<T, CtlError> {
    let body = client.ask(method, path, ANSWER_TIMEOUT)?;
    let address = || client.address().to_owned();
    serde_json::from_slice(&body).map_err(|error| CtlError::Answer { address: address(), reason: error.to_string() })
}

/// Prints an answer. Nobody may be listening to it.
fn show<T: Serialize>(as_json: bool, answer: &T, for_people: impl Fn(&T) -> String) {
    let text = match as_json {
        // What was read from JSON can be written as JSON.
        true => serde_json::to_string(answer).unwrap_or_default() + "\n",
        false => for_people(answer),
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// An admin endpoint and what opens it.
#[derive(Debug)]
struct Target {
    address: String,
    key: Secret,
    /// Where the key came from, for errors.
    key_source: String,
}

fn target(args: &AskArgs) -> Result<Target, CtlError> {
    let config = Config::load(args.config.as_deref())?;
    let address = match &args.admin {
        Some(address) => address.clone(),
        None => reached(config.admin.listen.ok_or(CtlError::NoEndpoint)?)?.to_string(),
    };
    let kept = config.node.data_dir.join(ADMIN_KEY_FILE);
    let (key, key_source) = match &args.key_file {
        Some(file) => (config::read_key(file)?, file.display().to_string()),
        None if !config.admin.key.expose().is_empty() => (config.admin.key, "admin.key".to_owned()),
        None => (config::read_key(&kept)?, kept.display().to_string()),
    };
    Ok(Target { address, key, key_source })
}

/// Where a node that listens there is reached from its own machine.
fn reached(listen: SocketAddr) -> Result<SocketAddr, CtlError> {
    let home = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    match listen.port() {
        0 => Err(CtlError::AnyPort),
        port => Ok(SocketAddr::new(home, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_listens_everywhere_is_reached_at_home() {
        for (listen, expected) in
            [("0.0.0.0:7480", "127.0.0.1:7480"), ("[::]:1", "[::1]:1"), ("10.0.0.1:2", "10.0.0.1:2")]
        {
            assert_eq!(reached(listen.parse().unwrap()).unwrap().to_string(), expected);
        }
        assert!(matches!(reached("127.0.0.1:0".parse().unwrap()), Err(CtlError::AnyPort)));
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("muster.toml");
        let data = folder.path().join("data");
        let error = |toml: &str| {
            std::fs::write(&config, format!("[node]\ndata_dir = \"{}\"\n{toml}", data.display())).unwrap();
            let args = AskArgs { json: false, config: Some(config.clone()), admin: None, key_file: None };
            target(&args).map(|_| ()).map_err(|error| error.to_string())
        };
        assert!(error("").unwrap_err().contains("data/admin.key"), "{:?}", error(""));
        assert!(error("[admin]\nlisten = \"\"\n").unwrap_err().contains("admin.listen"));
        assert_eq!(error("[admin]\nkey = \"0123456789abcdef\"\n"), Ok(()));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join(ADMIN_KEY_FILE), "key\n").unwrap();
        assert_eq!(error(""), Ok(()));
    }
}
