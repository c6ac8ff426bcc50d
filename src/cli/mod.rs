//! The command line.
//!
//! Exit codes: 0 done; 1 it failed, with one line on stderr that says why; 2 the command line is not understood.

pub mod bench;
pub mod ctl;
pub mod doctor;
pub mod logging;
pub mod serve;
pub mod usersig;
pub mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bench::BenchArgs;

/// What a failed command exits with; clap itself exits with 2.
pub const FAILED: u8 = 1;

/// A cluster that manages chat groups.
#[derive(Debug, Parser)]
#[command(name = "muster", version, about, long_about = None, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage; ctl and doctor say what theirs mean."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a node until it gets SIGTERM or SIGINT.
    ///
    /// Without --config the defaults apply: data in ./data, HTTP on 127.0.0.1:8080, and an app that is made at
    /// the first start. Environment variables MUSTER__SECTION__KEY win over the file; muster.example.toml
    /// documents every key.
    Serve(ServeArgs),
    /// Prints a UserSig, the signature that requests carry.
    ///
    /// The key is taken from the same configuration that the node reads.
    Usersig(usersig::UsersigArgs),
    /// Drives nodes with the workloads W1 to W7 and reports throughput, latency and CPU.
    Bench(Box<BenchArgs>),
    /// Examines the data folder of a node that is not running.
    ///
    /// Recomputes what can be recomputed and compares; changes nothing. Exits with 1 if something differs.
    Doctor(DoctorArgs),
    /// Asks a running node how the cluster fares.
    Ctl(ctl::CtlArgs),
    /// Prints the version.
    Version,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Data folder, `node.data_dir` of the node.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Ends a command: one line on stderr if it failed.
pub fn exit<E: std::fmt::Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("muster: {e}");
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(matches!(parse("muster serve"), Ok(Command::Serve(ServeArgs { config: None }))));
        assert!(matches!(parse("muster serve --config x"), Ok(Command::Serve(ServeArgs { config: Some(_) }))));
        assert!(matches!(parse("muster doctor --data d"), Ok(Command::Doctor(_))));
        assert!(matches!(parse("muster ctl status --json"), Ok(Command::Ctl(_))));
        assert!(matches!(parse("muster version"), Ok(Command::Version)));
        for wrong in ["muster", "muster run", "muster doctor", "muster usersig", "muster serve x", "muster ctl"] {
            assert_eq!(parse(wrong).expect_err(wrong).exit_code(), 2, "{wrong}");
        }
    }
}
