//! The clients that are connected, for `/clients`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::flow::{ClientSnapshot, ConnectionSnapshot, OpenStream, Proxy};

/// The most clients that are described, and the most streams of each.
const CLIENTS: usize = 200;
const STREAMS: usize = 50;

/// A client, with its connections through one frontend.
#[derive(Debug)]
struct ConnectedClient {
    /// The oldest connection.
    first: ConnectionSnapshot,
    connections: usize,
    streams: Vec<OpenStream>,
}

/// The properties that the connections of one client have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    address: String,
    frontend: Arc<str>,
    /// The names of the profile, the container and the certificate, once they are known.
    names: Option<[String; 3]>,
}

impl ClientKey {
    fn of(connection: &ConnectionSnapshot) -> Self {
        let names = connection.client.as_ref().map(|client| {
            [
                client.profile.name.clone(),
                client.container.clone(),
                client.certificate.clone(),
            ]
        });
        Self {
            address: connection.address.clone(),
            frontend: Arc::clone(&connection.frontend),
            names,
        }
    }
}

/// Describes the connected clients as JSON: those with the most streams first, then those with the
/// most connections.
pub(super) fn describe_clients(proxy: &Proxy) -> Value {
    let mut clients = match &proxy.live {
        Some(live) => group_by_client(live.roster.snapshot()),
        None => Vec::new(),
    };
    // The sort is stable: clients with equal numbers stay in the order in which they connected.
    clients.sort_by_key(|client| std::cmp::Reverse((client.streams.len(), client.connections)));
    let described: Vec<Value> = clients
        .iter()
        .take(CLIENTS)
        .map(|client| describe_client(client, proxy))
        .collect();
    json!({
        "clients": described,
        "clients_left_out": clients.len() - described.len(),
        "shares": describe_shares(proxy),
    })
}

/// Joins the connections of each client, in the order of their first ones.
fn group_by_client(connections: Vec<ConnectionSnapshot>) -> Vec<ConnectedClient> {
    let mut places: HashMap<ClientKey, usize> = HashMap::new();
    let mut clients: Vec<ConnectedClient> = Vec::new();
    for mut connection in connections {
        let stream = connection.stream.take();
        let place = *places
            .entry(ClientKey::of(&connection))
            .or_insert(clients.len());
        if place == clients.len() {
            clients.push(ConnectedClient {
                first: connection,
                connections: 0,
                streams: Vec::new(),
            });
        }
        let client = &mut clients[place];
        client.connections += 1;
        client.streams.extend(stream);
    }
    clients
}

fn describe_client(client: &ConnectedClient, proxy: &Proxy) -> Value {
    let ConnectedClient {
        first,
        connections,
        streams,
    } = client;
    let known = first.client.as_ref();
    let text = |of: fn(&ClientSnapshot) -> &str| known.map(of).filter(|text| !text.is_empty());
    json!({
        "client": first.address,
        "container": text(|known| &known.container),
        "certificate": text(|known| &known.certificate),
        "profile": text(|known| &known.profile.name),
        "frontend": &*first.frontend,
        "connections": connections,
        "seconds": seconds(first.age),
        "streams": streams.iter().take(STREAMS).map(describe_stream).collect::<Vec<_>>(),
        "streams_left_out": streams.len().saturating_sub(STREAMS),
        "shares": describe_client_shares(client, proxy),
    })
}

fn describe_stream(stream: &OpenStream) -> Value {
    json!({
        "request_id": stream.id.to_string(),
        "method": stream.method,
        "path": stream.path,
        "endpoint": stream.endpoint,
        "seconds": seconds(stream.age()),
    })
}

/// Describes the shares of a client. Connections, exchanges and memory are those of its address or
/// Unix user on all frontends; requests and streams are those that its profile limits.
fn describe_client_shares(client: &ConnectedClient, proxy: &Proxy) -> Value {
    let share = client.first.share.in_use();
    let known = client.first.client.as_ref();
    let limits = known.map(|known| &known.profile.limits);
    let usage = known.and_then(|known| known.usage.as_ref());
    let (requests, streams) = usage.map(|usage| usage.in_use()).unzip();
    let connections = match limits {
        Some(limits) => limits.connections,
        None => proxy.settings.get().limits.per_client.total,
    };
    let exchanges = proxy.shares.exchanges_of_client();
    json!({
        "connections": used(share.connections, connections),
        "requests": { "used": requests, "limit": limits.and_then(|limits| limits.requests) },
        "streams": {
            "used": streams.map_or(client.streams.len(), |streams| streams as usize),
            "limit": limits.and_then(|limits| limits.streams),
        },
        "exchanges": { "used": exchanges.map(|_| share.exchanges), "limit": exchanges },
        "body_memory_bytes": used(share.body_bytes, Some(share.body_bytes_limit)),
    })
}

/// Describes the shares of all clients together.
fn describe_shares(proxy: &Proxy) -> Value {
    let in_use = proxy.shares.in_use();
    let (exchanges, exchanges_limit) = in_use.exchanges.unzip();
    json!({
        "connections": used(in_use.connections, Some(in_use.connections_limit)),
        "connections_waiting": in_use.waiting,
        "connections_refused": in_use.refused,
        "exchanges": { "used": exchanges, "limit": exchanges_limit },
        "body_memory_bytes": used(in_use.body_bytes, Some(in_use.body_bytes_limit)),
    })
}

/// Describes a share; without a limit, any amount may be used.
fn used(used: usize, limit: Option<usize>) -> Value {
    json!({ "used": used, "limit": limit })
}

/// Returns a time in seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}
