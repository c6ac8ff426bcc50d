//! What `muster ctl` prints for people: what is wrong first, then tables whose columns are as wide as what is in them.

use std::fmt::Write;

use crate::admin::doctor::DoctorReport;
use crate::admin::status::{ClusterStatus, NodeLine, ReplicaLine, ShardLine};

/// Findings that are printed; the rest are counted.
const FINDINGS_SHOWN_MAX: usize = 20;
/// Where there is nothing to say.
const NOTHING: &str = "-";

/// The status of a cluster as text.
pub(super) fn status(status: &ClusterStatus) -> String {
    let mut out = String::new();
    headline(&mut out, status);
    let nodes = status.nodes.iter().map(node).collect();
    let head = ["NODE", "NAME", "ADDRESS", "ZONE", "INCARNATION", "VERSION", "STATE", "UPTIME", "LEADS", "VOTES"];
    columns(&mut out, &head, nodes);
    let shards = status.shards.iter().flat_map(shard).collect();
    columns(&mut out, &["SHARD", "TERM", "COMMITTED", "NODE", "ROLE", "APPLIED", "LAG", "HEARD"], shards);
    moves(&mut out, &status.shards);
    out
}

/// What a doctor has found, as text.
pub(super) fn doctor(report: &DoctorReport) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("drift {}", report.drift));
    listed(&mut out, &report.differences, report.drift);
    if !report.not_compared.is_empty() {
        line(&mut out, format_args!("not compared:"));
        listed(&mut out, &report.not_compared, report.not_compared.len());
    }
    let DoctorReport { nodes, shards, replicas, rows, groups, members, on_their_way, .. } = report;
    line(
        &mut out,
        format_args!(
            "compared: the routes of {} on {}; the rows of {}, {rows} in one of each shard",
            counted(*shards, "shard"),
            counted(*nodes, "node"),
            counted(*replicas, "replica")
        ),
    );
    line(
        &mut out,
        format_args!(
            "          {} and {} with counts and joined lists; {} between shards on their way",
            counted(*groups, "group"),
            counted(*members, "membership"),
            counted(*on_their_way, "message")
        ),
    );
    out
}

fn headline(out: &mut String, status: &ClusterStatus) {
    let shards = status.shards.iter().filter(|shard| shard.shard.is_some()).count();
    match status.findings.len() {
        0 => {
            let (nodes, shards) = (counted(status.nodes.len(), "node"), counted(shards, "shard"));
            line(out, format_args!("all is well: {nodes}; {shards}, each with a leader"));
        }
        1 => line(out, format_args!("1 thing needs attention:")),
        count => line(out, format_args!("{count} things need attention:")),
    }
    listed(out, &status.findings, status.findings.len());
}

/// The first lines of a list that is so long.
fn listed(out: &mut String, lines: &[String], count: usize) {
    for finding in lines.iter().take(FINDINGS_SHOWN_MAX) {
        line(out, format_args!("  ! {finding}"));
    }
    if let Some(more) = count.checked_sub(FINDINGS_SHOWN_MAX).filter(|more| *more > 0) {
        line(out, format_args!("  ! and {more} more; --json lists {}", lines.len()));
    }
}

fn node(node: &NodeLine) -> Vec<String> {
    let state = match (node.reachable, &node.reason) {
        (true, None) => "ready",
        (true, Some(_)) => "not ready",
        (false, _) => "not heard",
    };
    let count = |count: usize| if node.reachable { count.to_string() } else { NOTHING.to_owned() };
    vec![
        node.number.to_string(),
        or_nothing(&node.name),
        or_nothing(&node.address),
        or_nothing(&node.zone),
        node.incarnation.clone(),
        node.version.clone().unwrap_or_else(|| NOTHING.to_owned()),
        state.to_owned(),
        node.uptime_ms.map_or_else(|| NOTHING.to_owned(), duration),
        count(node.leads),
        count(node.votes),
    ]
}

/// One line for each replica; the shard is named once.
fn shard(shard: &ShardLine) -> Vec<Vec<String>> {
    let replica = |(n, replica): (usize, &ReplicaLine)| {
        let once = |text: String| if n == 0 { text } else { String::new() };
        let number = |number: Option<u64>| number.map_or_else(|| NOTHING.to_owned(), |number| number.to_string());
        let role = match (replica.leads, replica.votes) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "learner",
        };
        let heard = replica.heard_ms.filter(|_| !replica.leads);
        vec![
            once(shard.shard.map_or_else(|| "meta".to_owned(), |shard| shard.to_string())),
            once(shard.term.to_string()),
            once(shard.committed.to_string()),
            replica.node.to_string(),
            role.to_owned(),
            number(replica.applied),
            number(replica.lag),
            heard.map_or_else(|| NOTHING.to_owned(), |ago| format!("{} ago", duration(ago))),
        ]
    };
    shard.replicas.iter().enumerate().map(replica).collect()
}

fn moves(out: &mut String, shards: &[ShardLine]) {
    let moves: Vec<String> = shards
        .iter()
        .flat_map(|shard| shard.moves.iter().map(move |step| format!("{}: {step}", shard.label())))
        .collect();
    match moves.is_empty() {
        true => line(out, format_args!("no moves")),
        false => {
            line(out, format_args!("{}:", counted(moves.len(), "move")));
            moves.iter().for_each(|step| line(out, format_args!("  {step}")));
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn or_nothing(text: &str) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() }
}

/// A length of time by its two largest units.
fn duration(millis: u64) -> String {
    const SEC: u64 = 1_000;
    const MIN: u64 = 60 * SEC;
    const HOUR: u64 = 60 * MIN;
    const DAY: u64 = 24 * HOUR;
    match millis {
        0..SEC => format!("{millis} ms"),
        SEC..MIN => format!("{} s", millis / SEC),
        MIN..HOUR => format!("{} min {} s", millis / MIN, millis % MIN / SEC),
        HOUR..DAY => format!("{} h {} min", millis / HOUR, millis % HOUR / MIN),
        _ => format!("{} d {} h", millis / DAY, millis % DAY / HOUR),
    }
}

/// Lines under a head, and an empty one.
fn columns(out: &mut String, head: &[&str], lines: Vec<Vec<String>>) {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&lines).collect();
    let width = |column: usize| all.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for cells in all {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        line(out, format_args!("{}", cells.join("  ").trim_end()));
    }
    out.push('\n');
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterStatus {
        let node = |number: u32, reason: Option<&str>| NodeLine {
            number,
            incarnation: format!("0000000{number}"),
            address: format!("10.0.0.{number}:7400"),
            name: if number == 1 { "left".into() } else { String::new() },
            zone: String::new(),
            reachable: reason.is_none(),
            reason: reason.map(str::to_owned),
            version: reason.is_none().then(|| "0.1.0".to_owned()),
            uptime_ms: reason.is_none().then_some(192_000),
            leads: usize::from(number == 1),
            votes: 1,
        };
        let replica = |node: u32, lag: u64| ReplicaLine {
            node,
            incarnation: String::new(),
            votes: true,
            leads: node == 1,
            applied: Some(100 - lag),
            lag: Some(lag),
            heard_ms: Some(if node == 1 { 0 } else { 1_200 }),
        };
        ClusterStatus {
            cluster: "07".into(),
            asked: 1,
            findings: vec!["node 2 at 10.0.0.2:7400 is not heard: it sleeps".into()],
            nodes: vec![node(1, None), node(2, Some("it sleeps"))],
            shards: vec![ShardLine {
                shard: Some(0),
                leader: Some(1),
                term: 4,
                committed: 100,
                voters: vec![1, 2],
                learners: vec![],
                replicas: vec![replica(1, 0), replica(2, 7)],
                moves: vec!["node 3 gets a replica".into()],
            }],
        }
    }

    #[test]
    fn what_is_wrong_comes_first_and_columns_stand_under_each_other() {
        let expected = "\
1 thing needs attention:
  ! node 2 at 10.0.0.2:7400 is not heard: it sleeps
NODE  NAME  ADDRESS        ZONE  INCARNATION  VERSION  STATE      UPTIME      LEADS  VOTES
1     left  10.0.0.1:7400  -     00000001     0.1.0    ready      3 min 12 s  1      1
2     -     10.0.0.2:7400  -     00000002     -        not heard  -           -      -

SHARD  TERM  COMMITTED  NODE  ROLE    APPLIED  LAG  HEARD
0      4     100        1     leader  100      0    -
                        2     voter   93       7    1 s ago

1 move:
  shard 0: node 3 gets a replica
";
        assert_eq!(status(&cluster()), expected);
    }

    #[test]
    fn all_is_well_is_one_line() {
        let well = ClusterStatus { findings: vec![], ..cluster() };
        assert!(status(&well).starts_with("all is well: 2 nodes; 1 shard, each with a leader\n"));
    }

    #[test]
    fn a_doctor_begins_with_the_drift() {
        let healthy = DoctorReport { nodes: 3, shards: 2, replicas: 6, rows: 9, members: 1, ..DoctorReport::default() };
        let expected = "\
drift 0
compared: the routes of 2 shards on 3 nodes; the rows of 6 replicas, 9 in one of each shard
          0 groups and 1 membership with counts and joined lists; 0 messages between shards on their way
";
        assert_eq!(doctor(&healthy), expected);
        let not_compared = vec!["node 2 is not heard".to_owned()];
        let drifted = DoctorReport { drift: 1, differences: vec!["rows".into()], not_compared, ..healthy };
        assert!(doctor(&drifted).starts_with("drift 1\n  ! rows\nnot compared:\n  ! node 2 is not heard\ncompared: "));
    }

    #[test]
    fn a_long_list_is_cut() {
        let many = ClusterStatus { findings: (0..25).map(|n| format!("finding {n}")).collect(), ..cluster() };
        let shown = status(&many);
        assert!(
            shown.contains("finding 19\n") && !shown.contains("finding 20") && shown.contains("and 5 more"),
            "{shown}"
        );
    }

    #[test]
    fn times_are_shown_by_their_two_largest_units() {
        for (millis, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(millis), expected);
        }
    }
}
