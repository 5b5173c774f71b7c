//! Refuse: the proxy's own error response, in place of the engine's answer.

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::audit::Record;
use super::connection::Connection;
use super::{Next, Proxy};
use crate::outcome::refusal::Refusal;

/// Answers with the refusal. The connection stays open only if the request was well-formed and has
/// arrived whole: otherwise the beginning of the next request is unknown.
pub(super) async fn send_refusal(
    conn: &mut Connection,
    refusal: &Refusal,
    proxy: &Proxy,
    record: &Record<'_>,
) -> Next {
    // The engine's own answer may have any status.
    let is_malformed = refusal.reason().status() == Some(400);
    let known_end = !is_malformed && conn.has_whole_request();
    let close = conn.closes()
        || conn.may_tunnel()
        || refusal.ends_connection()
        || !known_end
        || *proxy.stopping.borrow();
    let announced = close && !conn.may_tunnel();
    let response = refusal.response(
        conn.is_head_request(),
        conn.sees_part(),
        announced,
        record.is_uncertain(),
        record.id(),
    );
    let output = &mut conn.stream_and_body().0.output;
    let sending = async { output.write_all(&response).await.and(output.flush().await) };
    // The deadline keeps a client that does not read from holding its refusals in memory.
    let sent = timeout(proxy.limits().head, sending).await;
    match sent {
        Ok(Ok(())) if close => conn.linger().await,
        Ok(Ok(())) => Next::KeepAlive,
        _ => Next::Close,
    }
}
