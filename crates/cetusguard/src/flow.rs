//! The life of a request. `docs/life-of-a-request.md` tells it in the same words and order.

mod answer;
mod audit;
mod forward;
mod hijack;
mod identify;
mod listen;
mod normalise;

use std::sync::Arc;

use cetusguard_policy::{Profiles, Verdict, decide};
use tokio::sync::watch;

use crate::backend::Backend;
use crate::config::meant::Limits;
use crate::log::Log;
use crate::refusal::Refusal;
use audit::{Ended, Record};
use identify::Client;
pub(crate) use listen::{Bound, Listeners, bind};
use listen::{Conn, Pending};

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The engine.
    pub(crate) backend: Backend,
    /// The rights of every client.
    pub(crate) profiles: Profiles,
    /// Time and size.
    pub(crate) limits: Limits,
    /// Where records go.
    pub(crate) log: Log,
    /// Becomes true when the program is asked to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Proxy {
    /// Waits until the program is asked to stop.
    fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // The sender lives as long as the program: an error is a stop as well.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}

/// Whether the connection can take another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

/// Why a request ends before its answer is complete.
#[derive(Debug)]
enum End {
    /// The client gets an error response.
    Refused(Refusal),
    /// There is nobody to answer, or half an answer is out already: the connection ends.
    Cut(Ended),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Serves one client's connection until either side has enough of it.
async fn serve(pending: Pending, proxy: Arc<Proxy>) {
    let Some(mut conn) = pending.open(&proxy).await else { return };
    let client = identify::identify(&conn, &proxy);
    while exchange(&mut conn, &client, &proxy).await == Next::KeepAlive {}
}

/// One request and its answer, or its refusal; one record in the log either way.
async fn exchange(conn: &mut Conn, client: &Client, proxy: &Proxy) -> Next {
    if !conn.wait_for_request(proxy).await {
        return Next::Close;
    }
    let mut record = Record::open(client, &proxy.log);
    match journey(conn, client, proxy, &mut record).await {
        Ok(next) => next,
        Err(End::Cut(ended)) => {
            record.end(ended);
            Next::Close
        }
        Err(End::Refused(refusal)) => listen::refuse(conn, &refusal, proxy, &mut record).await,
    }
}

/// The steps from the first byte of a request to the last byte of its answer. Each takes what only the one before it makes.
async fn journey(conn: &mut Conn, client: &Client, proxy: &Proxy, record: &mut Record<'_>) -> Result<Next, End> {
    let head = conn.read_head(proxy).await?;
    record.received(&head);
    let (call, message) = normalise::normalise(head, conn)?;
    let permit = match decide(call, &client.profile) {
        Verdict::Allow(permit) => Arc::new(permit),
        Verdict::Deny(denial) => return Err(Refusal::Denied(Box::new(denial)).into()),
    };
    record.permitted(&permit);
    let answered = forward::forward(&permit, &message, conn, proxy, record).await?;
    // The answer may last for days, and needs none of the headers.
    drop(message);
    if answered.is_tunnel() {
        hijack::tunnel(answered, conn, proxy, record).await
    } else {
        answer::answer(answered, conn, proxy, record).await
    }
}
