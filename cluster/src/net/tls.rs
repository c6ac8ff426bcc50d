//! TLS between nodes: each side shows a certificate, and takes only one that the cluster's CA has signed.
//!
//! Who dials checks that the certificate is for the host it dialled. Who accepts takes every certificate of the CA:
//! where a connection comes from says little about who a node is. The handshake with the cluster's key runs inside.
//!
//! The files are looked at again before a connection, so certificates are replaced without a restart; connections that
//! stand stay. There are no revocation lists: a certificate that is to be worth nothing lives short, or the CA is
//! replaced.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::{Resumption, danger::ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as RustlsError, RootCertStore, ServerConfig,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The files are looked at once in that time at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest file that is read, in bytes: a chain, or a bundle of CAs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a node's certificate is, the key that belongs to it, and the certificates of the CA. All are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The node's own certificate first, then those between it and the CA.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Several while one takes the place of another.
    pub ca: PathBuf,
}

/// Why there can be no TLS with these files; one line that names the setting and the file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cluster.tls.{setting} {}: {reason}", path.display())]
pub struct TlsError {
    setting: &'static str,
    path: PathBuf,
    reason: String,
}

/// What a node shows to others and asks of them. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    files: TlsFiles,
    /// What others dial to get here: the certificate must be for it.
    host: String,
    state: Mutex<State>,
}

struct State {
    ends: Ends,
    /// What the files were when they were read last.
    read: [Mark; 3],
    looked: Instant,
}

/// The two ways a connection can begin.
#[derive(Clone)]
struct Ends {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

/// What changes when a file does: its inode, its length, its time of modification.
type Mark = Option<(u64, u64, i64, i64)>;

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.files.fmt(f)
    }
}

impl Tls {
    /// Reads the files; `address` is what others dial to get here.
    ///
    /// # Errors
    /// A file cannot be read or holds nothing of use, the key belongs to another certificate, or no node would take the
    /// certificate: it has expired, is of another CA, or for another host.
    pub fn load(files: TlsFiles, address: &str) -> Result<Self, TlsError> {
        let host = host_of(address).to_owned();
        let read = files.marks();
        let ends = Ends::load(&files, &host)?;
        let state = Mutex::new(State { ends, read, looked: Instant::now() });
        Ok(Self { inner: Arc::new(Inner { files, host, state }) })
    }

    /// Begins TLS as the one who was dialled. A refusal gives the connection back: its words are still on their way.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<server::TlsStream<TcpStream>, (io::Error, TcpStream)> {
        self.ends().acceptor.accept(stream).into_fallible().await
    }

    /// Begins TLS as the one who dialled `address`.
    pub(crate) async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let host = ServerName::try_from(host_of(address).to_owned()).map_err(io::Error::other)?;
        self.ends().connector.connect(host, stream).await
    }

    /// What the files say now; what they said before if that is of no use.
    fn ends(&self) -> Ends {
        let Inner { files, host, state } = &*self.inner;
        let mut state = state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let marks = files.marks();
            if marks != state.read {
                // Also if it fails: half of a change is said once, and the other half is another change.
                state.read = marks;
                match Ends::load(files, host) {
                    Ok(ends) => {
                        tracing::info!("the certificates of cluster.tls were replaced");
                        state.ends = ends;
                    }
                    Err(error) => tracing::error!(%error, "the certificates in use stay"),
                }
            }
        }
        state.ends.clone()
    }
}

impl TlsFiles {
    fn marks(&self) -> [Mark; 3] {
        [&self.certificate, &self.key, &self.ca].map(|path| {
            let of = path.metadata().ok()?;
            Some((of.ino(), of.len(), of.mtime(), of.mtime_nsec()))
        })
    }
}

impl Ends {
    fn load(files: &TlsFiles, host: &str) -> Result<Self, TlsError> {
        let TlsFiles { certificate, key, ca } = files;
        let of = |setting, path: &Path| {
            let path = path.to_owned();
            move |reason: String| TlsError { setting, path: path.clone(), reason }
        };
        let (bad_ca, bad_certificate, bad_key) = (of("ca", ca), of("certificate", certificate), of("key", key));

        let roots = read(ca).and_then(|pem| roots(&pem)).map_err(&bad_ca)?;
        let chain = read(certificate).and_then(|pem| certificates(&pem)).map_err(&bad_certificate)?;
        let key = read(key).and_then(|pem| private_key(&pem)).map_err(&bad_key)?;

        let provider = Arc::new(default_provider());
        let signing = provider.key_provider.load_private_key(key).map_err(|_| {
            // The error could quote the file.
            bad_key("it is of a kind that is not supported: ECDSA (P-256, P-384), Ed25519 and RSA are".into())
        })?;
        let own = Arc::new(CertifiedKey::new(chain, signing));
        match own.keys_match() {
            Err(RustlsError::InconsistentKeys(_)) => {
                return Err(bad_key(format!("it does not belong to the certificate in {}", certificate.display())));
            }
            other => other.map_err(|error| bad_certificate(error.to_string()))?,
        }

        let unusable = |error: &dyn std::fmt::Display| of("ca", ca)(error.to_string());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let clients = clients.build().map_err(|error| unusable(&error))?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        let servers = servers.build().map_err(|error| unusable(&error))?;

        // What every other node would say, it is better to be told at once.
        let (first, rest) = own.cert.split_first().ok_or_else(|| bad_certificate("it holds no certificate".into()))?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| bad_certificate(format!("{host:?}, under which others dial this node, is no host")))?;
        let now = UnixTime::now();
        let taken = clients.verify_client_cert(first, rest, now).map(drop);
        let taken = taken.and_then(|()| servers.verify_server_cert(first, rest, &name, &[], now).map(drop));
        taken.map_err(|error| bad_certificate(format!("no node would take it: {}", explain(&error))))?;

        let resolver = Arc::new(tokio_rustls::rustls::sign::SingleCertAndKey::from(own));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| unusable(&error))?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(resolver.clone());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| unusable(&error))?
            .dangerous()
            .with_custom_certificate_verifier(servers)
            .with_client_cert_resolver(resolver);
        // Whoever resumes a session shows no certificate: one that has expired since would be taken.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        client.resumption = Resumption::disabled();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), connector: TlsConnector::from(Arc::new(client)) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let of = path.metadata().map_err(|error| error.to_string())?;
    if !of.is_file() || of.len() > FILE_BYTES_MAX {
        return Err(format!("it is no file of at most {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err("it holds no certificate in PEM".to_owned()),
    }
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| explain(&error))?;
    }
    Ok(Arc::new(roots))
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    // Not what the parser says: it quotes lines.
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it holds no private key in PEM".to_owned())
}

/// `host:port` without the port; an IPv6 address without its brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// What an error of TLS under an error of a connection means to whoever runs the nodes; `None`: there is none.
pub(super) fn reason(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref().map(explain)
}

fn explain(error: &RustlsError) -> String {
    match error {
        RustlsError::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the certificate is of another CA than cluster.tls.ca".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".to_owned()
            }
            CertificateError::NotValidForName => "the certificate is for another host".to_owned(),
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "the certificate is not for {}, but for {}",
                expected.to_str(),
                if presented.is_empty() { "no host".to_owned() } else { presented.join(", ") },
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "the certificate is not for both clientAuth and serverAuth".to_owned()
            }
            other => format!("the certificate is of no use: {other}"),
        },
        RustlsError::NoCertificatesPresented => "it shows no certificate".to_owned(),
        RustlsError::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                "it takes this node's certificate for one of another CA".to_owned()
            }
            AlertDescription::CertificateExpired => "it says that this node's certificate has expired".to_owned(),
            alert => format!("it refuses this node: {alert:?}"),
        },
        RustlsError::InvalidMessage(_) | RustlsError::InappropriateMessage { .. } => {
            "it does not speak TLS: cluster.tls is set here, and must be there as well".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const HERE: &str = "127.0.0.1";
    /// Longer than the files can go unread.
    const NOTICED: Duration = Duration::from_secs(20);

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let pem = params.self_signed(&key).expect("a certificate").pem();
            Self { pem, issuer: Issuer::new(params, key) }
        }

        /// Writes what a node needs into a folder.
        fn certify(&self, folder: &Path, hosts: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsFiles {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(hosts).expect("hosts");
            change(&mut params);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
            let file = |name, text: String| {
                let path = folder.join(name);
                std::fs::write(&path, text).expect("written");
                path
            };
            TlsFiles {
                certificate: file("node.pem", certificate.pem()),
                key: file("node.key", key.serialize_pem()),
                ca: file("ca.pem", self.pem.clone()),
            }
        }
    }

    fn refused(files: &TlsFiles, setting: &str, reason: &str) {
        let error = Tls::load(files.clone(), "127.0.0.1:7400").expect_err(reason).to_string();
        assert!(!error.contains('\n') && error.starts_with(&format!("cluster.tls.{setting} /")), "{error}");
        assert!(error.contains(reason), "{reason:?} is not in {error:?}");
    }

    #[test]
    fn files_of_no_use_are_named() {
        let (one, other) = (Authority::new(), Authority::new());
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let (here, there) = (folders[0].path(), folders[1].path());
        let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
        refused(&one.certify(here, &[HERE], expired), "certificate", "has expired");
        let too_soon = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
        refused(&one.certify(here, &[HERE], too_soon), "certificate", "not valid yet");
        refused(&one.certify(here, &["127.0.0.2", "n.example"], |_| {}), "certificate", "not for 127.0.0.1, but for");
        for usage in [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth] {
            let half = |params: &mut CertificateParams| params.extended_key_usages = vec![usage];
            refused(&one.certify(here, &[HERE], half), "certificate", "both clientAuth and serverAuth");
        }

        let files = one.certify(here, &[HERE], |_| {});
        let foreign = other.certify(there, &[HERE], |_| {});
        Tls::load(files.clone(), "127.0.0.1:7400").expect("all is well");
        refused(&TlsFiles { ca: foreign.ca, ..files.clone() }, "certificate", "another CA");
        refused(&TlsFiles { key: foreign.key, ..files.clone() }, "key", "does not belong to the certificate in /");
        refused(&TlsFiles { key: files.certificate.clone(), ..files.clone() }, "key", "no private key");
        refused(&TlsFiles { certificate: files.key.clone(), ..files.clone() }, "certificate", "no certificate");
        let nothing = here.join("nothing.pem");
        refused(&TlsFiles { ca: nothing.clone(), ..files.clone() }, "ca", "No such file");
        refused(&TlsFiles { key: here.to_owned(), ..files.clone() }, "key", "it is no file");
        std::fs::write(&nothing, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
        refused(&TlsFiles { ca: nothing, ..files }, "ca", "");
    }

    #[test]
    fn a_host_is_an_address_without_its_port() {
        assert_eq!(["a.example:1", "10.0.0.1:7400", "[::1]:2"].map(host_of), ["a.example", "10.0.0.1", "::1"]);
    }

    /// A connection of two nodes, and a byte each way; what went wrong, for the one who dialled and the other.
    async fn meet(dials: &Tls, accepts: &Tls, host: &str) -> (Result<(), String>, Result<(), String>) {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let told = |error: io::Error| reason(&error).unwrap_or_else(|| error.to_string());
        let dialling = async {
            let stream = TcpStream::connect(address).await?;
            let mut stream = dials.connect(&format!("{host}:{}", address.port()), stream).await?;
            stream.write_all(b"a").await?;
            stream.read_u8().await.map(drop)
        };
        let accepting = async {
            let (stream, _) = listener.accept().await?;
            let mut stream = accepts.accept(stream).await.map_err(|(error, _)| error)?;
            stream.read_u8().await?;
            stream.write_all(b"b").await?;
            stream.shutdown().await
        };
        let (dialled, accepted) = tokio::join!(dialling, accepting);
        (dialled.map_err(told), accepted.map_err(told))
    }

    fn load(files: &TlsFiles) -> Tls {
        Tls::load(files.clone(), HERE).expect("certificates")
    }

    #[tokio::test]
    async fn nodes_of_one_ca_meet_and_others_hear_why_they_do_not() {
        let (one, other) = (Authority::new(), Authority::new());
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let node =
            |n: usize, authority: &Authority| load(&authority.certify(folders[n].path(), &[HERE, "n.example"], |_| {}));
        let (a, b, foreign) = (node(0, &one), node(1, &one), node(2, &other));
        assert_eq!(meet(&a, &b, HERE).await, (Ok(()), Ok(())));
        assert_eq!(meet(&a, &b, "n.example").await, (Ok(()), Ok(())));
        let (dialled, accepted) = meet(&a, &b, "other.example").await;
        assert!(dialled.is_err_and(|why| why.contains("not for other.example")) && accepted.is_err());
        let (dialled, accepted) = meet(&a, &foreign, HERE).await;
        assert!(dialled.as_ref().is_err_and(|why| why.contains("of another CA")), "{dialled:?}");
        assert!(accepted.as_ref().is_err_and(|why| why.contains("of another CA")), "{accepted:?}");

        // The one who accepts looks as well: this one would take anybody's certificate.
        let blind = TlsFiles { ca: folders[0].path().join("both.pem"), ..foreign.inner.files.clone() };
        std::fs::write(&blind.ca, format!("{}{}", one.pem, other.pem)).expect("written");
        let (dialled, accepted) = meet(&load(&blind), &a, HERE).await;
        assert!(dialled.as_ref().is_err_and(|why| why.contains("of another CA")), "{dialled:?}");
        assert!(accepted.as_ref().is_err_and(|why| why.contains("of another CA")), "{accepted:?}");
    }

    #[tokio::test]
    async fn files_that_change_are_read_again_and_bad_ones_change_nothing() {
        let (one, other) = (Authority::new(), Authority::new());
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let node = |n: usize, authority: &Authority| authority.certify(folders[n].path(), &[HERE], |_| {});
        let (a, b) = (load(&node(0, &one)), load(&node(1, &other)));
        assert!(meet(&a, &b, HERE).await.0.is_err());
        std::fs::write(&a.inner.files.key, "half a file").expect("written");
        // The other one moves.
        node(1, &one);
        let until = Instant::now() + NOTICED;
        while meet(&a, &b, HERE).await != (Ok(()), Ok(())) {
            assert!(Instant::now() < until, "the new certificate was not noticed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
