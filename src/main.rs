//! The `muster` program: parses the command line and hands over.

use std::process::ExitCode;

use clap::Parser;
use muster::cli::{self, Cli, Command};
use muster::config::Config;
use muster::node;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => cli::exit(serve(&args)),
        Command::Usersig(args) => cli::exit(cli::usersig::run(&args)),
        Command::Bench(args) => cli::bench::run(&args),
        Command::Doctor(args) => match node::examine(&args.data) {
            Ok(findings) if cli::doctor::report(&findings) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(cli::FAILED),
            Err(error) => cli::exit(Err(error)),
        },
        Command::Ctl(args) => cli::ctl::run(&args),
        Command::Version => {
            cli::version::run();
            ExitCode::SUCCESS
        }
    }
}

fn serve(args: &cli::ServeArgs) -> Result<(), String> {
    let config = Config::load(args.config.as_deref()).map_err(|error| error.to_string())?;
    cli::logging::start(&config.log)?;
    node::prepare_process();
    cli::serve::serve(&config).map_err(|error| error.to_string())
}
