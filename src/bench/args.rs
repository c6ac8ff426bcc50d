//! The command line of `muster bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hyper::Uri;

use super::Error;
use super::request::PAGE_MEMBERS;
use super::signature;
use super::workload::{Sizes, Workload};
use crate::time::{Clock, SystemClock};

/// Longest `--run`: leaves room for letters and numbers in a group id.
///
/// Source: docs/spec/identifiers.md 1.2.
const RUN_BYTES_MAX: usize = 24;

/// Most connections: each costs a file on both sides.
const CONNECTIONS_MAX: u64 = 10_000;

/// Puts load on running nodes and measures what they make of it.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// What to measure; several with commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub workload: Vec<Choice>,
    /// Connections, each with one request at a time (w7 uses one)
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    pub connections: u64,
    /// Longest run of one workload, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub duration: u64,
    /// Operations per workload [default: each workload's own number; with --rate what rate and duration make]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub operations: Option<u64>,
    /// Operations per second, started on schedule whether or not earlier ones are answered; refusals as overload (60018)
    /// are then counted apart and fail nothing. Needs connections: one that waits for an answer starts nothing
    /// [default: one after the other]
    #[arg(long, value_name = "OPS_PER_S", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rate: Option<u64>,
    /// Groups of w3, w4 and w5
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub groups: u64,
    /// Members of the group of w6 and of each group of w7
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(PAGE_MEMBERS..))]
    pub members: u64,
    /// How much hotter the hot groups of w4 are; 0 is even
    #[arg(long, value_name = "EXPONENT", default_value_t = 0.99, value_parser = exponent)]
    pub zipf: f64,
    /// Start of all random numbers
    #[arg(long, default_value_t = 0xC0FFEE)]
    pub seed: u64,
    /// Where a node answers; repeated: connections are dealt out in turn
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub target: Vec<String>,
    /// A server process whose CPU time is counted, with its children, and whose memory is watched; repeatable
    #[arg(long)]
    pub pid: Vec<u32>,
    /// The app
    #[arg(long, default_value_t = 1_400_000_000)]
    pub app: u32,
    /// An administrator of the app
    #[arg(long, default_value = "administrator")]
    pub user: String,
    /// The app's key, to sign with
    #[arg(long, conflicts_with = "usersig")]
    pub key: Option<String>,
    /// A signature of the administrator
    #[arg(long)]
    pub usersig: Option<String>,
    /// The query of every request, instead of app, user and signature
    #[arg(long, conflicts_with_all = ["key", "usersig"])]
    pub query: Option<String>,
    /// Begins the id of every group [default: one that was not used before]
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,
    /// Expects what the workload needs to exist already, from an earlier run of this name
    #[arg(long, requires = "run")]
    pub no_set_up: bool,
    /// Adds a line of JSON per workload to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Prints ratios to the last lines for the same workload in this file
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Names what is measured, in the JSON lines
    #[arg(long, default_value = "muster")]
    pub tag: String,
}

/// A workload, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    One(Workload),
    All,
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        use Workload::{W1, W2, W3, W4, W5, W6, W7};
        &[
            Self::One(W1),
            Self::One(W2),
            Self::One(W3),
            Self::One(W4),
            Self::One(W5),
            Self::One(W6),
            Self::One(W7),
            Self::All,
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::One(workload) => Some(clap::builder::PossibleValue::new(workload.name()).help(workload.title())),
            Self::All => Some(clap::builder::PossibleValue::new("all").help("one after the other")),
        }
    }
}

impl BenchArgs {
    /// The workloads asked for, each once, in their usual order.
    pub fn workloads(&self) -> Vec<Workload> {
        let asked = |workload| self.workload.iter().any(|c| *c == Choice::All || *c == Choice::One(workload));
        Workload::ALL.into_iter().filter(|workload| asked(*workload)).collect()
    }

    pub fn sizes(&self) -> Sizes {
        Sizes { groups: self.groups, members: self.members, zipf_exponent: self.zipf }
    }

    /// The prefix of this run's groups.
    ///
    /// # Errors
    /// [`Error::Run`] if the name given is too long or has characters that do not belong into an id.
    pub fn run_name(&self) -> Result<String, Error> {
        match &self.run {
            Some(name) if is_run_name(name) => Ok(name.clone()),
            Some(name) => Err(Error::Run { name: name.clone(), bytes_max: RUN_BYTES_MAX }),
            // Two runs do not begin in the same millisecond.
            None => Ok(format!("b{}", SystemClock.now())),
        }
    }

    /// The query that says who asks.
    ///
    /// # Errors
    /// [`Error::NoSignature`] if nothing to sign with was given, [`Error::Query`] if it cannot stand in a URL.
    pub fn identity(&self) -> Result<String, Error> {
        let query = match (&self.query, &self.usersig, &self.key) {
            (Some(query), _, _) => query.clone(),
            (None, Some(usersig), _) => self.query_of(usersig),
            (None, None, Some(key)) => {
                self.query_of(&signature::sign(self.app, &self.user, key, SystemClock.now() / 1000))
            }
            (None, None, None) => return Err(Error::NoSignature),
        };
        if format!("/?{query}").parse::<Uri>().is_err() {
            return Err(Error::Query);
        }
        Ok(query)
    }

    fn query_of(&self, usersig: &str) -> String {
        format!("sdkappid={}&identifier={}&usersig={usersig}", self.app, self.user)
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(exponent) if (0.0..=10.0).contains(&exponent) => Ok(exponent),
        _ => Err("expected a number from 0 to 10".to_owned()),
    }
}

fn is_run_name(name: &str) -> bool {
    let fits = (1..=RUN_BYTES_MAX).contains(&name.len());
    fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    pub fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        let words = std::iter::once("bench").chain(line.split_ascii_whitespace());
        Line::try_parse_from(words).map(|line| line.bench)
    }

    #[test]
    fn nothing_said_is_the_full_set() {
        let args = parse("").expect("everything has a default");
        assert_eq!(args.workloads(), Workload::ALL);
        assert_eq!((args.connections, args.duration, args.operations, args.rate), (64, 30, None, None));
        assert_eq!((args.seed, args.zipf), (0xC0FFEE, 0.99));
        assert_eq!(args.sizes(), Sizes { groups: 10_000, members: 5_000, zipf_exponent: 0.99 });
    }

    #[test]
    fn workloads_come_once_and_in_order() {
        let args = parse("--workload w4,w2 --workload w4").expect("names of workloads");
        assert_eq!(args.workloads(), [Workload::W2, Workload::W4]);
        assert!(parse("--workload w8").is_err());
    }

    #[test]
    fn the_query_says_who_asks() {
        let query = |line: &str| parse(line).expect("good options").identity();
        assert_eq!(query("--query a=b").expect("given"), "a=b");
        let expected = "sdkappid=7&identifier=ann&usersig=eJx";
        assert_eq!(query("--app 7 --user ann --usersig eJx").expect("given"), expected);
        assert!(
            query("--key secret")
                .expect("signed")
                .starts_with("sdkappid=1400000000&identifier=administrator&usersig=eJ")
        );
        assert!(matches!(query(""), Err(Error::NoSignature)));
        let spaced = BenchArgs { query: Some("a=b c".to_owned()), ..parse("").expect("good options") };
        assert!(matches!(spaced.identity(), Err(Error::Query)));
    }

    #[test]
    fn a_run_name_fits_into_a_group_id() {
        let name = |line: &str| parse(line).expect("good options").run_name();
        assert_eq!(name("--run r1_x-2").expect("a good name"), "r1_x-2");
        for bad in ["--run=", "--run=a\"b", "--run=@TGS", "--run=abcdefghijklmnopqrstuvwxy"] {
            assert!(matches!(name(bad), Err(Error::Run { .. })), "{bad}");
        }
        assert!(is_run_name(&name("").expect("made up")));
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for line in [
            "--members 99",
            "--groups 0",
            "--connections 0",
            "--operations 0",
            "--rate 0",
            "--no-set-up",
            "--zipf NaN",
            "--zipf=-1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
