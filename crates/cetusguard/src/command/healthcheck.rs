//! `cetusguard healthcheck`: an image without a shell has nobody else to ask whether the proxy works.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::backend::{Backend, Unreachable};
use crate::config::Mistake;
use crate::config::address::Address;
use crate::config::frontends::Files;
use crate::config::written::Written;
use crate::flow::HEALTH_CHECK;
use crate::tls;

/// The whole check; container engines give up after 30 s by default.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks for `/_ping` through a frontend. The error is the reason why the proxy is not healthy.
pub(super) fn run(written: &Written, address: Option<&str>) -> Result<(), String> {
    let (address, files) = frontend(written, address)?;
    let address = match address {
        Address::Tcp { host, port } => Address::Tcp { host: reachable(&host), port },
        other => other,
    };
    let tls = match (files, &address) {
        ([_, Some(cert), Some(key)], Address::Tcp { .. }) => Some(tls::pinned(cert, key)?),
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

/// Returns the address to ask, and the TLS files of the frontend there: of the first one that can be asked if none is named.
fn frontend<'w>(written: &'w Written, named: Option<&str>) -> Result<(Address, Files<'w>), String> {
    let mut mistakes = Vec::new();
    let frontends = written.frontends(&mut mistakes);
    let Some(text) = named else {
        let mut asked = frontends.into_iter().filter(|frontend| frontend.address != Address::Inherited);
        let wrong = mistakes.first().map(Mistake::in_one_line);
        let none = || "fd:// does not say where to ask; name the address: healthcheck unix:///PATH".to_owned();
        return asked
            .next()
            .map(|frontend| (frontend.address, frontend.files))
            .ok_or_else(|| wrong.unwrap_or_else(none));
    };
    let address = Address::frontend(text).map_err(|expected| format!("{text:?}: {expected}"))?;
    let is_at_port = |own: &Address| match (own, &address) {
        (Address::Tcp { port: own, .. }, Address::Tcp { port, .. }) => own == port,
        _ => false,
    };
    // One that listens on all addresses is named by one of them.
    let there = frontends.iter().find(|frontend| frontend.address == address);
    let there = there.or_else(|| frontends.iter().find(|frontend| is_at_port(&frontend.address)));
    let files = there.or(frontends.first()).map_or(written.frontend_files(), |frontend| frontend.files);
    Ok((address, files))
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
        format!("GET /_ping HTTP/1.1\r\nHost: cetusguard\r\nUser-Agent: {HEALTH_CHECK}\r\nConnection: close\r\n\r\n");
    let advice = match speaks_tls {
        true => "; where clients need certificates, add a unix:// frontend and name it: healthcheck unix:///PATH",
        false => "; where the frontend speaks TLS, give the check its frontend-tls-cert and frontend-tls-key",
    };
    let lost = |error: std::io::Error| format!("the connection to {address} broke: {error}{advice}");
    stream.output.write_all(request.as_bytes()).await.map_err(lost)?;
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
