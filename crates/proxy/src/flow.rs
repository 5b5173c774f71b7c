//! The life of a request. `docs/life-of-a-request.md` tells it in the same words and order.

mod admit;
mod answer;
mod audit;
mod client_watch;
mod connection;
mod describe;
mod filter;
mod forward;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod hijack;
mod identify;
mod inspect;
mod listen;
mod normalise;
mod refuse;
mod request_head;
mod resolve;
mod roster;
mod settings;
mod viewer;

use std::sync::Arc;

use cetusguard_config::meant::Limits;
use cetusguard_policy::{Profiles, Verdict, decide};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::admin::Status;
use crate::engine::backend::Backend;
use crate::engine::{Containers, Objects, Own};
use crate::limits::limiter::Limiter;
use crate::limits::name_holds::NameHolds;
use crate::limits::quotas::Quotas;
use crate::limits::shares::Shares;
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;
use crate::runtime::capacity::SocketBuffer;
use crate::runtime::event_loops::EventLoops;
use crate::runtime::host_paths::HostPaths;
use crate::runtime::worker::Worker;
use crate::telemetry::lessons::Lessons;
use crate::telemetry::live::Live;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use crate::tls::failed_handshakes::FailedHandshakes;
use admit::Admitted;
pub use admit::{HEALTH_CHECK, admit_headers};
use audit::Record;
use cetusguard_http1::ReadBudget;
use connection::{Connection, PendingConnection};
pub(crate) use filter::LARGE_ANSWERS;
pub(crate) use listen::{
    AcceptedStream, Arrival, Bound, Gate, Handler, InheritedSockets, Listeners, bind,
    log_refused_connections,
};
use normalise::Message;
pub(crate) use roster::{ClientSnapshot, ConnectionSnapshot, OpenStream, Roster};
pub(crate) use settings::{InForce, Settings};
pub use viewer::{owner_of, viewer_by_header};

/// The state that all connections share.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The engine.
    pub(crate) backend: Arc<Backend>,
    /// The containers behind the addresses of clients.
    pub(crate) containers: Arc<Containers>,
    /// The objects that decisions depend on.
    pub(crate) objects: Arc<Objects>,
    /// The proxy's own container.
    pub(crate) own: Own,
    /// The event loops that serve connections.
    pub(crate) loops: EventLoops,
    /// One more event loop, for work that would hold up other clients.
    pub(crate) worker: Worker,
    /// The turns for answers with large elements, which are in memory while they are filtered.
    pub(crate) large_answers: Semaphore,
    /// The same for TLS handshakes, so that a burst of them does not hold up bodies that are
    /// judged.
    pub(crate) handshakes: Worker,
    /// Resolves symbolic links in paths of the host.
    pub(crate) host_paths: Arc<HostPaths>,
    /// The requests of clients in the last moments, for rate limits.
    pub(crate) limiter: Limiter,
    /// The calls that are counted against the quotas of their profiles.
    pub(crate) quotas: Quotas,
    /// The names that calls under way give to objects of owners.
    pub(crate) name_holds: NameHolds,
    /// Each client's share of the connections, the memory for bodies and the lookups.
    pub(crate) shares: Arc<Shares>,
    /// The TLS handshakes that have failed.
    pub(crate) failed_handshakes: FailedHandshakes,
    /// The bound of the buffers of clients' sockets.
    pub(crate) buffer: SocketBuffer,
    /// The memory for reading that all connections share.
    pub(crate) read_budget: Arc<ReadBudget>,
    /// Where records go.
    pub(crate) log: Log,
    /// The calls that clients need, under `cetusguard learn`.
    pub(crate) lessons: Option<Arc<Lessons>>,
    /// The counters of requests, if the admin listener shows them.
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// The decisions and connections as they are now, if the admin listener shows them.
    pub(crate) live: Option<Arc<Live>>,
    /// The history of the configuration, for the admin listener.
    pub(crate) status: Arc<Status>,
    /// Becomes true when the program is asked to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    /// The settings in force.
    pub(crate) settings: InForce,
}

impl Proxy {
    /// The settings at this moment.
    fn settings(&self) -> Arc<Settings> {
        self.settings.get()
    }

    /// Bounds in time and size, as they are at this moment.
    pub(crate) fn limits(&self) -> Limits {
        self.settings.limits()
    }

    /// The profiles at this moment.
    pub(crate) fn profiles(&self) -> Profiles {
        self.settings().profiles.clone()
    }

    /// Replaces the settings for every request that begins from now on.
    pub(crate) fn renew(&self, settings: Settings) {
        self.containers.want(&settings.profiles);
        if let Some(metrics) = &self.metrics {
            metrics.expect_profiles(&settings.profiles);
        }
        self.settings.replace(settings);
    }

    /// Returns the handles of the event loops that run.
    pub(crate) fn event_loops(&self) -> Vec<Handle> {
        let mut handles = self.loops.handles();
        let workers = [&self.worker, &self.handshakes];
        handles.extend(workers.into_iter().filter_map(Worker::handle).cloned());
        handles
    }

    /// Waits until the program is asked to stop.
    fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // The sender lives as long as the program: an error is a stop as well.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }
}

/// The use of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

/// Serves one client's connection until either side has enough of it.
async fn serve(pending: PendingConnection, proxy: Arc<Proxy>) {
    let Some(mut conn) = pending.open(&proxy).await else {
        return;
    };
    while exchange(&mut conn, &proxy).await == Next::KeepAlive {}
}

/// One request and its answer, or its refusal; one record in the log either way.
async fn exchange(conn: &mut Connection, proxy: &Arc<Proxy>) -> Next {
    if !conn.wait_for_request(proxy).await {
        return Next::Close;
    }
    let mut record = Record::open(
        conn.peer(),
        &proxy.log,
        proxy.lessons.as_deref(),
        proxy.metrics.as_deref(),
        proxy.live.as_deref(),
    );
    match journey(conn, proxy, &mut record).await {
        Ok(next) => next,
        Err(outcome) => {
            record.end(&outcome);
            match outcome {
                Outcome::Refused(refusal) => {
                    refuse::send_refusal(conn, &refusal, proxy, &record).await
                }
                Outcome::Served
                | Outcome::ClientDisconnected
                | Outcome::ClientStalled
                | Outcome::MalformedBody
                | Outcome::EngineDisconnected
                | Outcome::UnfilterableAnswer(_)
                | Outcome::ShuttingDown
                | Outcome::OutdatedCertificate
                | Outcome::Panicked => Next::Close,
            }
        }
    }
}

/// Runs the steps from the first byte of a request to the last byte of its answer. Each takes
/// values that only earlier steps make. The decision and the inspection ask the step *resolve* for
/// objects.
async fn journey(
    conn: &mut Connection,
    proxy: &Arc<Proxy>,
    record: &mut Record<'_>,
) -> Result<Next, Outcome> {
    let head = conn.read_head(proxy).await?;
    record.note_head(&head);
    let frame = normalise::read_frame(&head)?;
    conn.begin_request(&frame);
    let call = normalise::read_call(&head, proxy)?;
    conn.expect_tunnel_of(&call);
    let message = Message::new(head, frame.framing);
    let is_ping = admit::is_ping(&call, &message);
    conn.take_place(is_ping, proxy).await?;
    let client = identify::identify_client(conn, proxy).await?;
    record.note_client(&client);
    conn.confirm_place(&client, is_ping, proxy)?;
    let entry = admit::admit_request(&call, &message, &client, conn.is_loopback(), proxy)?;
    let viewer = viewer::viewer_of(&client, &call, &message)?;
    let verdict = match decide(call, &client.profile) {
        // Boxed, so that requests without such a question do not carry its state.
        Verdict::Deny(denial) => {
            Box::pin(resolve::decide_by_name(denial, &client, &viewer, proxy)).await?
        }
        Verdict::Allow(permit) if permit.question().is_some() => {
            Box::pin(resolve::decide_by_object(permit, &client, &viewer, proxy)).await?
        }
        allowed @ Verdict::Allow(_) => allowed,
    };
    let verdict = match verdict {
        Verdict::Deny(denial) => Verdict::Deny(denial.of_unmatched_client(client.is_unmatched)),
        allowed @ Verdict::Allow(_) => allowed,
    };
    let permit = match verdict.unless_enforced(&client.profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => return Err(Refusal::Denied(Box::new(denial)).into()),
    };
    let admitted = Arc::new(Admitted::new(permit, entry, viewer));
    record.note_permit(&admitted);
    let mut approved =
        inspect::inspect_call(admitted, &message, &client, conn, proxy, record).await?;
    record.note_approval();
    let mut names = approved.take_names();
    let to_mark = names.as_deref_mut();
    let mut answered =
        forward::forward_request(approved, to_mark, &message, conn, proxy, record).await?;
    // The answer may last for days, and needs none of the headers.
    drop(message);
    if answered.is_tunnel() {
        return hijack::run_tunnel(answered, conn, proxy, record).await;
    }
    let relayed = match answered.take_filter() {
        None => answer::relay_answer(answered, conn, proxy, record).await,
        // Boxed, so that other answers do not carry its state.
        Some(filter) => {
            let relayed = filter::relay_filtered_answer;
            Box::pin(relayed(answered, *filter, &client, conn, proxy, record)).await
        }
    };
    if let (Some(names), Ok(_)) = (&mut names, &relayed) {
        names.settle();
    }
    relayed
}
