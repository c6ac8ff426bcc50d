//! Nodes that speak TLS to each other: they form a cluster, and whoever shows nothing or something else does not get in.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::nodes::{Nodes, Setup};
use crate::run::turn;
use crate::scenarios::are_one;
use crate::support::{Node, Settings};

/// How long it may take until somebody has said what is wrong.
const SAID_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A CA, and the files of those it knows.
pub struct Authority {
    folder: TempDir,
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a node shows to others.
#[derive(Clone, Debug)]
pub struct Papers {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("a certificate").pem();
        let folder = tempfile::tempdir().expect("a folder for certificates");
        Self { folder, ca, issuer: Issuer::new(params, key) }
    }

    /// Certifies a node that others dial at this address.
    pub fn certify(&self, host: IpAddr) -> Papers {
        let file = |kind: &str| self.folder.path().join(format!("{host}-{kind}.pem"));
        let papers = Papers { certificate: file("node"), key: file("key"), ca: file("ca") };
        self.renew(&papers, host);
        papers
    }

    /// Writes other papers where some are already, as those of an operator are replaced.
    fn renew(&self, papers: &Papers, host: IpAddr) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_string()]).expect("a host");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        replace(&papers.certificate, &certificate.pem());
        replace(&papers.key, &key.serialize_pem());
        replace(&papers.ca, &self.ca);
    }
}

fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).expect("a file");
    std::fs::rename(&draft, path).expect("a file in its place");
}

impl Papers {
    /// As a node is told of them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let of = |key: &str, path: &Path| (format!("MUSTER__CLUSTER__TLS__{key}"), path.display().to_string());
        vec![of("CERTIFICATE", &self.certificate), of("KEY", &self.key), of("CA", &self.ca)]
    }
}

fn three() -> Setup {
    Setup { has_tls: true, ..Setup::default() }
}

/// Waits until a node says all of this, in its log and in `/readyz`.
async fn says(nodes: &Nodes, number: usize, in_log: &str, in_readyz: &str) {
    let until = Instant::now() + SAID_WITHIN;
    loop {
        let (log, readyz) = (nodes.log(number), nodes.ready(number).await);
        let is_said = |readyz: &(u16, String)| readyz.0 == 503 && readyz.1.contains(in_readyz);
        if log.contains(in_log) && readyz.as_ref().is_ok_and(is_said) {
            return;
        }
        assert!(Instant::now() < until, "node {number} says neither {in_log:?} nor {in_readyz:?}: {readyz:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Nodes 0 and 1 have papers of one CA, node 2 shows something else, and its first seed is one that refuses it.
async fn two_and_a_stranger(papers: impl FnOnce(&Nodes) -> Option<Papers>) -> Nodes {
    let mut nodes = Nodes::prepare(three());
    let papers = papers(&nodes);
    nodes.set_papers(2, papers);
    nodes.launch(&[0, 1, 2]);
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_ca_is_refused_until_it_is_replaced() {
    let _turn = turn().await;
    let other = Authority::new();
    let nodes = two_and_a_stranger(|nodes| Some(other.certify(nodes.place(2).advertised.ip()))).await;
    let of = |number: usize| nodes.place(number).advertised;
    for number in [0, 1] {
        // What it dials, and what dials it.
        let reason = "the certificate is of another CA than cluster.tls.ca";
        says(&nodes, number, reason, &format!("{}: {reason}", of(2))).await;
    }
    says(&nodes, 2, "of another CA", &format!("{}: the certificate is of another CA", of(0))).await;

    // Put right while all of them run, they become one.
    let (ours, theirs) = (nodes.papers(0).expect("papers"), nodes.papers(2).expect("papers"));
    let authority = Authority::new();
    for (number, papers) in [(0, ours), (1, nodes.papers(1).expect("papers")), (2, theirs)] {
        authority.renew(papers, of(number).ip());
    }
    nodes.until_ready().await;
    are_one(&nodes).await;
    nodes.examine();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_tls_and_those_with_it_refuse_each_other() {
    let _turn = turn().await;
    let mut nodes = two_and_a_stranger(|_| None).await;
    let of = |number: usize| nodes.place(number).advertised;
    let (here, there) = ("cluster.tls is set here, and must be there", "cluster.tls is set there, and must be here");
    for number in [0, 1] {
        says(&nodes, number, here, &format!("{}: it does not speak TLS: {here}", of(2))).await;
    }
    says(&nodes, 2, there, &format!("{}: refused: it speaks TLS only: {there}", of(0))).await;
    for number in 0..3 {
        // Who dials hears of it before the one who is dialled has written it down.
        says(&nodes, number, "port was refused", "").await;
        let lines = nodes.log(number).lines().filter(|line| line.contains("port was refused")).count();
        assert!((1..=6).contains(&lines), "node {number} said {lines} times that it refused somebody");
    }

    nodes.kill(2);
    let authority = Authority::new();
    for number in [0, 1] {
        authority.renew(nodes.papers(number).expect("papers"), nodes.place(number).advertised.ip());
    }
    let papers = authority.certify(nodes.place(2).advertised.ip());
    nodes.set_papers(2, Some(papers));
    nodes.launch(&[2]);
    nodes.until_ready().await;
    are_one(&nodes).await;
}

#[test]
fn a_node_does_not_start_with_papers_of_no_use() {
    let (one, other) = (Authority::new(), Authority::new());
    let host = IpAddr::from([127, 0, 0, 1]);
    let (papers, foreign) = (one.certify(host), other.certify(host));
    let missing = papers.certificate.with_extension("missing");
    for (papers, setting, reason) in [
        (Papers { key: foreign.key, ..papers.clone() }, "key", "does not belong"),
        (Papers { ca: foreign.ca, ..papers.clone() }, "certificate", "another CA"),
        (Papers { certificate: missing, ..papers.clone() }, "certificate", "No such file"),
        (other.certify(IpAddr::from([127, 0, 0, 9])), "certificate", "not for 127.0.0.1"),
    ] {
        let settings = Settings { environment: papers.environment(), ..Settings::default() };
        let folder = tempfile::tempdir().expect("a folder for the node");
        let Err((_, said)) = Node::try_start_in(folder, settings) else { panic!("it started: {reason}") };
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("cluster.tls.{setting} /")) && last.contains(reason), "{reason:?}: {said}");
    }
}

#[test]
fn the_readme_makes_certificates_that_work() {
    const README: &str = include_str!("../../README.md");
    let commands =
        README.split("```sh\n").find_map(|part| part.starts_with("openssl").then(|| part.split("```").next()));
    let commands = commands.flatten().expect("commands that make certificates").replace("10.0.0.1", "127.0.0.1");
    let folder = tempfile::tempdir().expect("a folder for the certificates");
    let made = Command::new("sh").args(["-ec", &commands]).current_dir(folder.path()).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name| folder.path().join(name);
    let papers = Papers { certificate: file("node.pem"), key: file("node.key"), ca: file("ca.pem") };
    let node = Node::start_with(Settings { environment: papers.environment(), ..Settings::default() });
    assert!(node.log().contains("tls=true"), "{}", node.log());
}

#[test]
fn a_port_beyond_loopback_without_tls_is_warned_of() {
    const WARNING: &str = "not encrypted: set cluster.tls";
    let authority = Authority::new();
    let everywhere = |papers: Option<Papers>| {
        let mut environment: Vec<_> = papers.iter().flat_map(Papers::environment).collect();
        for (key, value) in [("LISTEN", "0.0.0.0:0"), ("ADVERTISE", "127.0.0.1:7400")] {
            environment.push((format!("MUSTER__CLUSTER__{key}"), value.to_owned()));
        }
        Node::start_with(Settings { environment, ..Settings::default() }).log()
    };
    assert!(everywhere(None).contains(WARNING));
    assert!(!everywhere(Some(authority.certify(IpAddr::from([127, 0, 0, 1])))).contains(WARNING));
    assert!(!Node::start().log().contains(WARNING));
}
