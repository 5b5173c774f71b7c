//! `cetusguard healthcheck`: an image without a shell has nobody else to ask whether the proxy works.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::backend::{Backend, Unreachable};
use crate::config::address::Address;
use crate::config::written::Written;
use crate::tls;

/// The whole check; container engines give up after 30 s by default.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks for `/_ping` through a frontend. The error is the reason why the proxy is not healthy.
pub(super) fn run(written: &Written, address: Option<&str>) -> Result<(), String> {
    let (first, files) = written.first_frontend();
    let text = address.unwrap_or(first);
    let address = match Address::frontend(text).map_err(|expected| format!("{text:?}: {expected}"))? {
        Address::Tcp { host, port } => Address::Tcp { host: reachable(&host), port },
        Address::Inherited => {
            return Err("fd:// does not say where to ask; name the address: healthcheck unix:///PATH".to_owned());
        }
        unix => unix,
    };
    let tls = match (files, &address) {
        ([Some(cert), Some(key)], Address::Tcp { .. }) => Some(tls::pinned(cert, key)?),
        _ => None,
    };
    let speaks_tls = tls.is_some();
    let frontend = Backend::new(address.clone(), tls, LIMIT);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let asked = runtime.block_on(async { tokio::time::timeout(LIMIT, ask(&frontend, &address, speaks_tls)).await });
    match asked {
        Ok(result) => result,
        Err(_) => Err(format!("{address} did not answer within {} s", LIMIT.as_secs())),
    }
}

/// The address under which a socket that listens everywhere is asked.
fn reachable(host: &str) -> String {
    match host {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "::1".to_owned(),
        host => host.to_owned(),
    }
}

async fn ask(frontend: &Backend, address: &Address, speaks_tls: bool) -> Result<(), String> {
    let unreachable = |why: Unreachable| format!("the proxy at {address} cannot be reached: {}", why.what);
    let mut stream = frontend.connect().await.map_err(unreachable)?;
    let request =
        b"GET /_ping HTTP/1.1\r\nHost: cetusguard\r\nUser-Agent: cetusguard-healthcheck\r\nConnection: close\r\n\r\n";
    let advice = match speaks_tls {
        true => "; where clients need certificates, add a unix:// frontend and name it: healthcheck unix:///PATH",
        false => "; where the frontend speaks TLS, give the check its frontend-tls-cert and frontend-tls-key",
    };
    let lost = |error: std::io::Error| format!("the connection to {address} broke: {error}{advice}");
    stream.output.write_all(request).await.map_err(lost)?;
    stream.output.flush().await.map_err(lost)?;
    let mut answer = Vec::new();
    while stream.input.fill().await.map_err(lost)? > 0 && answer.len() < 64 << 10 {
        answer.extend_from_slice(&stream.input.buffer.split());
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some(status) => Err(format!("/_ping was answered with {status}: {}", body.trim())),
        None => Err(format!("{address} does not answer in HTTP{advice}")),
    }
}
