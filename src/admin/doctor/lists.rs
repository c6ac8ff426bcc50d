//! Counts, indexes and joined lists against the rows they speak of, on the node that was asked.
//!
//! Of one replica only: that the others have the same rows is what their hashes say.

use tokio::sync::oneshot;

use super::{DoctorReport, Progress};
use crate::admin::Admin;
use crate::shard;

impl Admin {
    pub(super) async fn compare_lists(&self, report: &mut DoctorReport, progress: &Progress) {
        progress.doing(format!("comparing counts and joined lists in {} rows", report.rows));
        match self.examined(progress).await {
            Ok(examined) => {
                let findings = examined.findings;
                report.groups = findings.groups;
                report.members = findings.members;
                report.on_their_way = findings.on_their_way;
                report.drift += findings.difference_count - findings.differences.len();
                report.differ(findings.differences);
                report.not_compared.extend(examined.ahead.map(|(target, source)| {
                    format!(
                        "joined lists: shard {} was ahead of shard {} whenever it was looked at",
                        target.0, source.0
                    )
                }));
            }
            Err(reason) => report.not_compared.push(format!("counts and joined lists: {reason}")),
        }
    }

    async fn examined(&self, progress: &Progress) -> Result<shard::Examined, String> {
        let follows = |replica: &muster_cluster::ReplicaReport| replica.leads || replica.heard.is_some();
        if let Some(behind) = self.cluster.report().iter().find(|replica| !follows(replica)) {
            return Err(format!(
                "this node has not caught up with {}; ask another one",
                crate::admin::status::label(behind.shard.map(|shard| shard.0))
            ));
        }
        let (tell, told) = oneshot::channel();
        let (cluster, progress) = (self.cluster.clone(), progress.clone());
        self.background.run(move |over| {
            let mut read = 0;
            let examined = shard::examine(&cluster, |more| {
                read += more;
                progress.doing(format!("comparing counts and joined lists: {read} rows read"));
                !over.is_over()
            });
            let _ = tell.send(examined);
        })?;
        match told.await {
            Ok(Ok(Some(examined))) => Ok(examined),
            Ok(Ok(None)) => Err("the node stops".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a row cannot be read; the log of this node says more".to_owned()),
        }
    }
}
