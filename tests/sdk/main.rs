//! Published server SDKs of the hosted product, unmodified, against a node over loopback.
//!
//! | Package | From | Reaches the node by |
//! |---|---|---|
//! | `tencentcloud-sdk-python-im` | PyPI | its own `tencent_url` option |
//! | `timsdk` | PyPI | the proxy and certificate variables of the environment: its address is fixed (tls_front.py) |
//! | `tls-sig-api-v2` | PyPI and npm | makes signatures only; they are sent from here |
//!
//! The packages are pinned by hash and installed below the target folder at the first run, which needs a registry.
//! Where there is none these tests fail and say so; `MUSTER_SKIP_SDK_TESTS=1` leaves them out, but not in CI.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use support::{ADMIN, APP, Client, KEY, Node, Settings};

/// The address that one SDK has built in.
const BUILT_IN_HOST: &str = "console.tim.qq.com";
const SKIP: &str = "MUSTER_SKIP_SDK_TESTS";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Runs a program to its end; what it said, if it failed.
fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr].concat();
    Err(format!("{command:?} failed: {}\n{}", output.status, String::from_utf8_lossy(&said)))
}

/// The installed packages.
struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Installs what is not installed yet; `None`: these tests are to be left out.
    fn get() -> Option<&'static Self> {
        static PACKAGES: OnceLock<Option<Packages>> = OnceLock::new();
        PACKAGES
            .get_or_init(|| {
                if std::env::var_os(SKIP).is_some() && std::env::var_os("CI").is_none() {
                    eprintln!("DID NOT RUN: {SKIP} is set");
                    return None;
                }
                let packages = Self { folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk") };
                if let Err(reason) = packages.install() {
                    panic!(
                        "the tests with published SDKs DID NOT RUN: the packages cannot be installed \
                         (needed: python3 with venv, npm, openssl, and their registries).\n{reason}"
                    );
                }
                Some(packages)
            })
            .as_ref()
    }

    fn install(&self) -> Result<(), String> {
        let wanted = ["build-requirements.txt", "requirements.txt", "package.json", "package-lock.json"];
        let mut text = String::new();
        for file in wanted {
            text += &std::fs::read_to_string(sources().join(file)).map_err(|error| format!("{file}: {error}"))?;
        }
        // Written last: a folder without it is begun anew.
        let installed = self.folder.join("installed");
        if std::fs::read_to_string(&installed).is_ok_and(|present| present == text) {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;

        run(Command::new("python3").args(["-m", "venv"]).arg(self.folder.join("venv")))?;
        for (file, more) in [
            ("build-requirements.txt", &[][..]),
            // Two are published as sources: built with what was just pinned, not with the newest.
            ("requirements.txt", &["--no-build-isolation", "--no-deps"]),
        ] {
            run(Command::new(self.python())
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
                .args(["--retries", "2", "--require-hashes"])
                .args(more)
                .arg("-r")
                .arg(sources().join(file)))?;
        }
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(sources().join(file), self.folder.join(file)).map_err(|error| error.to_string())?;
        }
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1"];
        run(Command::new("npm").args(npm).current_dir(&self.folder))?;
        std::fs::write(installed, text).map_err(|error| error.to_string())
    }

    fn python(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    /// A script beside this file, with nothing of this environment that could lead it elsewhere.
    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.python());
        command.arg(sources().join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
        // The scenarios consist of assertions.
        command.env_remove("PYTHONOPTIMIZE").env_remove("PYTHONPATH");
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(variable).env_remove(variable.to_lowercase());
        }
        command
    }
}

/// Runs a scenario against a fresh node on which only accounts exist that were imported.
fn scenario(prepare: impl FnOnce(&Packages, &Node) -> Command) {
    let Some(packages) = Packages::get() else { return };
    let node = Node::start_with(Settings { toml: "[accounts]\nmode = \"imported\"\n".into(), ..Settings::default() });
    let mut command = prepare(packages, &node);
    command.args([APP.to_string().as_str(), KEY, ADMIN]);
    run(&mut command).unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn tencentcloud_sdk_python_im_is_served() {
    scenario(|packages, node| {
        let mut command = packages.script("run_tencentcloud_im.py");
        command.arg(node.address.to_string());
        command
    });
}

#[test]
fn timsdk_is_served() {
    let folder = tempfile::tempdir().expect("a folder for the certificate");
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    scenario(|packages, node| {
        let name = format!("subjectAltName=DNS:{BUILT_IN_HOST}");
        let made = run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-addext"])
            .arg(name)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
        made.unwrap_or_else(|reason| panic!("the test with timsdk DID NOT RUN: no certificate.\n{reason}"));
        let mut command = packages.script("run_timsdk.py");
        command.args([&certificate, &key]).arg(node.address.to_string());
        command
    });
}

/// The code of a read by somebody with that signature.
async fn code_of(client: &mut Client, identifier: &str, usersig: &str) -> Value {
    let parameters = format!("sdkappid={APP}&identifier={identifier}&usersig={usersig}");
    let path = format!("/v4/group_open_http_svc/get_group_info?{parameters}");
    let (_, answer) = client.raw("POST", &path, r#"{"GroupIdList":["g"]}"#).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    answer["ErrorCode"].clone()
}

#[tokio::test]
async fn signatures_of_the_published_generators_are_good() {
    let Some(packages) = Packages::get() else { return };
    let node = Node::start();
    let mut client = node.client().await;
    let mut javascript = Command::new("node");
    javascript.arg(sources().join("sign.js")).env("NODE_PATH", packages.folder.join("node_modules"));
    for mut generator in [packages.script("sign.py"), javascript] {
        generator.args([APP.to_string().as_str(), KEY, ADMIN]);
        let output = run(&mut generator).unwrap_or_else(|reason| panic!("{reason}"));
        let output = String::from_utf8(output.stdout).expect("text");
        let signatures: Vec<&str> = output.lines().collect();
        // In this order, from both: of the admin, of the admin with a userbuf, of bob, of the admin with another key,
        // and one that has expired.
        let [plain, userbuf, of_bob, of_another_key, expired] = signatures[..] else { panic!("{output}") };
        assert_eq!(code_of(&mut client, ADMIN, plain).await, 0, "{generator:?}");
        assert_eq!(code_of(&mut client, ADMIN, userbuf).await, 0, "{generator:?}");
        assert_eq!(code_of(&mut client, "bob", of_bob).await, 60010, "{generator:?}");
        assert_eq!(code_of(&mut client, ADMIN, of_bob).await, 70013, "{generator:?}");
        assert_eq!(code_of(&mut client, ADMIN, of_another_key).await, 70009, "{generator:?}");
        assert_eq!(code_of(&mut client, ADMIN, expired).await, 70001, "{generator:?}");
    }
}
