//! Runs `muster bench` and reads the lines it leaves.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::node::{MUSTER, Node};
use crate::processes::output;
use crate::{Bench, Outcome};

/// A server to be driven.
#[derive(Clone, Debug)]
pub struct Target {
    pub tag: String,
    pub address: String,
    pub query: String,
    /// Processes whose time counts.
    pub pids: Vec<u32>,
}

impl Target {
    pub fn node(node: &Node) -> Self {
        Self {
            tag: "muster".to_owned(),
            address: node.address().to_owned(),
            query: node.query.clone(),
            pids: vec![node.pid()],
        }
    }
}

/// Runs the harness with these options; gives a line for each workload. Operations that failed are counted in it.
///
/// # Errors
/// If a workload left no line.
pub fn run(bench: &Bench, target: &Target, options: &[&str]) -> Outcome<Vec<Value>> {
    let file = bench.settings.scratch.join("lines.jsonl");
    let _ = fs::remove_file(&file);
    let mut command = Command::new(MUSTER);
    command.args(["bench", "--target", &target.address, "--query", &target.query, "--tag", &target.tag]);
    command.arg("--json").arg(&file).args(options);
    for pid in &target.pids {
        command.args(["--pid", &pid.to_string()]);
    }
    let ended = output(&mut command);
    let lines: Vec<Value> =
        fs::read_to_string(&file).unwrap_or_default().lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    match ended {
        // Every workload was measured, and some operations failed: the lines say which.
        Err(error) if lines.iter().all(|line| line["errors"] == 0) => Err(error),
        _ => Ok(lines),
    }
}
