//! A node inside another program: starts it on a folder of its own and a free port, creates a group over HTTP, reads
//! it back and stops.
//!
//! `cargo run --release --example single_node`

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster::api::auth::sign;
use muster::config::{Config, ensure_app};
use muster::node::{Node, prepare_process};

/// Far more than a healthy disk needs.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    prepare_process();
    actix_rt::System::new().block_on(tour())
}

async fn tour() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.node.data_dir = folder.path().join("data");
    config.http.listen = "127.0.0.1:0".parse()?;
    config.cluster.listen = None;
    config.admin.listen = None;
    let node = Node::start(&config).await?;
    println!("a node listens on http://{}", node.address());

    // No app was configured, so the node made one and keeps it in its folder.
    let app = ensure_app(&config.node.data_dir)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let usersig = sign(app.keys[0].expose(), app.id, &app.admins[0], now, 3600, None);
    let query = format!("sdkappid={}&identifier={}&usersig={usersig}&random=1&contenttype=json", app.id, app.admins[0]);

    let stream = tokio::net::TcpStream::connect(node.address()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    actix_rt::spawn(connection);
    for (command, body) in [
        ("create_group", r#"{"Type":"Public","Name":"Trail club","GroupId":"trail-club","Owner_Account":"mira"}"#),
        ("add_group_member", r#"{"GroupId":"trail-club","MemberList":[{"Member_Account":"otto"}]}"#),
        ("get_group_info", r#"{"GroupIdList":["trail-club"]}"#),
        ("get_joined_group_list", r#"{"Member_Account":"otto"}"#),
    ] {
        let request = hyper::Request::post(format!("/v4/group_open_http_svc/{command}?{query}"))
            .header("host", node.address().to_string())
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        let answer = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        println!("{command} {body}\n  {}", String::from_utf8_lossy(&answer));
    }
    drop(sender);
    node.stop(STOP_TIMEOUT).await?;
    Ok(())
}
