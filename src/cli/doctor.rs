//! `muster doctor`: re-derives counts, indexes, joined lists and sequences of a folder that no node uses.

use crate::node::Findings;

/// Prints what was found; `false`: there are differences.
pub fn report(findings: &Findings) -> bool {
    println!(
        "{} rows, {} groups, {} members, {} messages between shards on their way",
        findings.rows, findings.groups, findings.members, findings.on_their_way
    );
    for difference in &findings.differences {
        println!("difference: {difference}");
    }
    let unlisted = findings.difference_count - findings.differences.len();
    if unlisted > 0 {
        println!("and {unlisted} more differences");
    }
    println!("{} differences", findings.difference_count);
    findings.difference_count == 0
}
