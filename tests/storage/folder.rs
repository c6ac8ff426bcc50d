//! Whose folder it is, which format it has, and what of it must not be told.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::crash::start;
use crate::random::Random;
use crate::shim::files_in;
use crate::support::{ADMIN, Client, Node, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_and_the_first_goes_on() {
    let first = Node::start();
    let data = first.data_dir().into_os_string().into_string().expect("a path that is text");
    let environment = vec![("MUSTER__NODE__DATA_DIR".into(), data.clone())];
    let folder = tempfile::tempdir().expect("a folder for the second node");
    let second = Node::try_start_in(folder, Settings { environment, ..Settings::default() });
    let said = second.err().expect("two nodes must not share a folder").1;
    assert!(said.contains(&format!("data folder {data} is in use by another process")), "{said}");
    let group = json!({ "Type": "Public", "Name": "a", "Owner_Account": "ann" });
    first.client().await.ok("create_group", group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_newer_format_is_refused_and_left_alone() {
    let (stopped, _) = Node::start().terminate();
    let path = stopped.data_dir().join("FORMAT");
    let text = fs::read_to_string(&path).expect("the format file");
    let newer = text.replacen("format 3\n", "format 4\n", 1);
    assert_ne!(text, newer, "the format is not 3 any more: {text}");
    fs::write(&path, &newer).expect("the format file");
    let before = contents(&stopped.data_dir());

    let (folder, said) = Node::try_start_in(stopped.folder, stopped.settings).err().expect("it must be refused");
    assert!(said.contains("was written by format 4, this binary reads up to 3"), "{said}");
    assert!(contents(&folder.path().join("data")) == before, "a folder that cannot be read was changed");
}

/// Every file with its bytes.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files_in(folder).into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_the_first_app_is_told_to_nobody() {
    let mut random = Random::of_test("key");
    let folder = tempfile::tempdir().expect("a folder for the node");
    let toml = "[log]\nlevel = \"trace\"\n".to_owned();
    let node = start(folder, Settings { toml, without_apps: true, ..Settings::default() });
    let (app, key) = app_of(&node.data_dir());
    assert!(key.len() >= 32, "a key of {} bytes can be guessed", key.len());

    let mut client = Client::connect(node.address, app, &key).await;
    let group = json!({ "Type": "Public", "Name": "a", "Owner_Account": "ann" });
    client.ok("create_group", group.clone()).await;
    // A signature that does not verify, one that is none, and a body that is none.
    let mut told = Vec::new();
    let mut other = Client::connect(node.address, app, &format!("{:064x}", random.bits())).await;
    told.push(other.refused("create_group", group, 70009).await.to_string());
    let query = format!("sdkappid={app}&identifier={ADMIN}&usersig=eJ&random=1");
    for path in [format!("/v4/group_open_http_svc/create_group?{query}"), "/metrics".into(), "/readyz".into()] {
        let (method, body) = if path.starts_with("/v4") { ("POST", "{") } else { ("GET", "") };
        let (_, body) = client.raw(method, &path, body).await.expect("an answer");
        told.push(String::from_utf8_lossy(&body).into_owned());
    }
    let (stopped, status) = node.terminate();
    assert!(status.success(), "{status}");
    let log = fs::read_to_string(stopped.folder.path().join("log")).expect("the log");
    assert!(log.contains("TRACE") && log.contains("stopping"), "the log does not hold everything: {log}");
    told.push(log);
    for text in told {
        assert!(!text.contains(&key), "the key of app {app} was told: {}", text.replace(&key, "(the key)"));
    }
    insist_on_privacy(&stopped.data_dir().join("app.toml"));
}

/// Number and key of the app that the node made for itself.
fn app_of(data_dir: &Path) -> (u32, String) {
    let text = fs::read_to_string(data_dir.join("app.toml")).expect("the first app");
    let app: toml::Value = text.parse::<toml::Table>().map(toml::Value::Table).expect("TOML");
    let id = app["id"].as_integer().and_then(|id| id.try_into().ok()).expect("an app id");
    let key = app.get("key").and_then(toml::Value::as_str).expect("a key");
    (id, key.to_owned())
}

/// Only the owner of the folder may read it.
fn insist_on_privacy(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
}
