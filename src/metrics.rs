//! Every metric of the service: name, unit, meaning.
//!
//! The catalogue below is the whole list; a test holds it against what `/metrics` renders. Handles are
//! registered once, so that a hot path touches an atomic and looks nothing up. Names end in their unit.
//! Labels take values from fixed lists only: nobody outside can make a series.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use metrics::{Counter, Gauge, Histogram, Label};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper ends of the buckets of every duration, in seconds: from a read out of memory to a request given up.
const SECONDS_BUCKETS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// One metric as it is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub meaning: &'static str,
}

macro_rules! handle {
    (counter) => {
        Counter
    };
    (gauge) => {
        Gauge
    };
    (histogram) => {
        Histogram
    };
}

/// Lists a metric once, and makes of it the handle, its registration and its documentation.
macro_rules! catalogue {
    ($($kind:ident $field:ident = $name:literal, $meaning:literal;)*) => {
        /// The handles; see [`CATALOGUE`] for what each means.
        pub struct Metrics {
            $(#[doc = $meaning] pub $field: handle!($kind),)*
            recorder: PrometheusRecorder,
            rendered: PrometheusHandle,
        }

        /// Every metric, those with labels included.
        pub const CATALOGUE: &[Described] = &[
            REQUESTS,
            REQUEST_SECONDS,
            SHARD_LEADER,
            $(Described { name: $name, kind: stringify!($kind), meaning: $meaning },)*
        ];

        impl Metrics {
            fn new() -> Self {
                let recorder = PrometheusBuilder::new()
                    .set_buckets(&SECONDS_BUCKETS)
                    .expect("the list of buckets is not empty")
                    .build_recorder();
                let ($($field,)*) = metrics::with_local_recorder(&recorder, || {
                    CATALOGUE.iter().for_each(Described::describe);
                    ($(metrics::$kind!($name),)*)
                });
                Self { $($field,)* rendered: recorder.handle(), recorder }
            }
        }
    };
}

const REQUESTS: Described = Described {
    name: "muster_http_requests_total",
    kind: "counter",
    meaning: "requests answered, by command (`other`: none of ours) and ErrorCode (`other`: not in the table)",
};
const REQUEST_SECONDS: Described = Described {
    name: "muster_http_request_seconds",
    kind: "histogram",
    meaning: "seconds from the head of a request to its rendered answer, by command",
};
const SHARD_LEADER: Described = Described {
    name: "muster_shard_leader",
    kind: "gauge",
    meaning: "number of the node that leads the shard as far as this node knows, by shard; 0: unknown",
};

catalogue! {
    gauge http_inflight = "muster_http_inflight_requests", "requests under way";
    counter http_overload = "muster_http_overload_refusals_total", "requests refused at the door because actors.inflight_max were under way";
    counter http_shed = "muster_http_shed_refusals_total", "requests refused at the door so that those let in are answered in time: more came than can be answered";
    gauge http_shedding_reads = "muster_http_shedding_reads", "1 while some reads are refused at the door, 0 while all are let in";
    gauge http_shedding_changes = "muster_http_shedding_changes", "1 while some changes are refused at the door, 0 while all are let in";
    counter http_panics = "muster_http_panics_total", "handlers that panicked; each is a defect";
    counter kept_answers = "muster_http_kept_answers_total", "reads answered as before because nothing they show has changed";
    counter forwards_sent = "muster_forwards_sent_total", "requests that another node was asked to carry out, because it leads what they are about";
    counter forwards_received = "muster_forwards_received_total", "requests that other nodes asked this one to carry out";
    counter forward_failures = "muster_forward_failures_total", "requests sent to another node that could not be reached, or did not answer in time";
    counter retries = "muster_retries_total", "times that a request waited and was tried again, mostly because its shard had no leader";
    counter auth_failures = "muster_auth_failures_total", "signatures that did not verify";
    counter auth_locked = "muster_auth_locked_total", "requests refused with 70050 after too many failed signatures";
    counter proposals = "muster_proposals_total", "commands handed to the log";
    counter entries_applied = "muster_entries_applied_total", "log entries applied by this replica";
    counter conflicts = "muster_conflicts_total", "proposals that met a newer version of their group and were dropped";
    gauge outbox_rows = "muster_outbox_rows", "outbox rows not yet delivered, over the shards led here";
    counter notes_dropped = "muster_notes_dropped_total", "messages between shards that were dropped because too many waited for a node; what matters is said again";
    gauge node_number = "muster_node_number", "this node's number in its cluster";
    gauge shards_led = "muster_shards_led", "shards led by this node";
    gauge shards_voting = "muster_shards_voting", "shards in which this node's replica has a vote";
    counter leader_changes = "muster_leader_changes_total", "times this node learnt that a shard is led by another node than before";
    counter append_failures = "muster_append_failures_total", "appends to replicas on other nodes that were refused, could not be sent, or were not answered in time";
    counter snapshots_installed = "muster_snapshots_installed_total", "times a replica here was filled from the rows of another node";
    gauge groups_active = "muster_groups_active", "groups held in memory";
    counter activations = "muster_activations_total", "groups loaded from rows";
    counter passivations = "muster_passivations_total", "groups let go because they were idle or over budget";
    histogram flush_seconds = "muster_disk_flush_seconds", "seconds one flush of the write-ahead log took";
    counter disk_failures = "muster_disk_failures_total", "writes or flushes that failed; the node stops serving";
}

impl Described {
    fn describe(&self) {
        match self.kind {
            "counter" => metrics::describe_counter!(self.name, self.meaning),
            "gauge" => metrics::describe_gauge!(self.name, self.meaning),
            _ => metrics::describe_histogram!(self.name, self.meaning),
        }
    }
}

/// The metrics of this process.
pub fn get() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

impl Metrics {
    /// The handles of one command; `codes` is sorted, and lists what its label may say.
    pub fn command(&self, name: &'static str, codes: &'static [u32]) -> CommandMetrics {
        debug_assert!(codes.is_sorted());
        let seconds = metrics::with_local_recorder(&self.recorder, || {
            metrics::histogram!(REQUEST_SECONDS.name, vec![Label::from_static_parts("command", name)])
        });
        // One more than there are codes: the last stands for every other.
        CommandMetrics { name, codes, seconds, requests: (0..=codes.len()).map(|_| OnceLock::new()).collect() }
    }

    /// Who leads a shard, by number; 0: unknown.
    pub fn shard_leader(&self, shard: u16) -> Gauge {
        let labels = vec![Label::new("shard", shard.to_string())];
        metrics::with_local_recorder(&self.recorder, || metrics::gauge!(SHARD_LEADER.name, labels))
    }

    /// Renders everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.rendered.render()
    }

    /// Folds what histograms have collected, at the first call of every second. Samples would pile up otherwise;
    /// who adds them calls it, so that no timer is needed.
    pub fn upkeep_each_second(&self, now_secs: u64) {
        static LAST_SECS: AtomicU64 = AtomicU64::new(0);
        let last = LAST_SECS.load(Ordering::Relaxed);
        if last != now_secs && LAST_SECS.compare_exchange(last, now_secs, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.rendered.run_upkeep();
        }
    }
}

/// How one command fares.
pub struct CommandMetrics {
    name: &'static str,
    codes: &'static [u32],
    seconds: Histogram,
    /// Registered when a code first occurs, so that a scrape is not mostly zeros.
    requests: Box<[OnceLock<Counter>]>,
}

impl CommandMetrics {
    /// Counts one answered request.
    pub fn answered(&self, code: u32, seconds: f64) {
        let known = self.codes.binary_search(&code);
        let counter = &self.requests[known.unwrap_or(self.codes.len())];
        counter.get_or_init(|| self.register(known.ok().map(|_| code))).increment(1);
        self.seconds.record(seconds);
    }

    fn register(&self, code: Option<u32>) -> Counter {
        let code = code.map_or_else(|| "other".to_owned(), |code| code.to_string());
        let labels = vec![Label::from_static_parts("command", self.name), Label::new("code", code)];
        metrics::with_local_recorder(&get().recorder, || metrics::counter!(REQUESTS.name, labels))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_rendered_is_what_is_documented() {
        let command = get().command("testing", &[0, 10_004]);
        command.answered(0, 0.002);
        command.answered(10_004, 0.002);
        command.answered(99_999, 0.002);
        command.answered(99_998, 0.002);
        get().flush_seconds.record(0.0007);
        get().shard_leader(3).set(2.0);
        let text = get().render();

        let rendered: BTreeSet<_> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
        let documented: Vec<_> = CATALOGUE.iter().map(|m| format!("{} {}", m.name, m.kind)).collect();
        assert_eq!(rendered, documented.iter().map(String::as_str).collect());
        for metric in CATALOGUE {
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{}", metric.name);
        }
        for line in [
            "muster_http_requests_total{command=\"testing\",code=\"0\"} 1",
            "muster_http_requests_total{command=\"testing\",code=\"10004\"} 1",
            "muster_http_requests_total{command=\"testing\",code=\"other\"} 2",
            "muster_http_request_seconds_bucket{command=\"testing\",le=\"0.001\"} 0",
            "muster_http_request_seconds_bucket{command=\"testing\",le=\"0.0025\"} 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
