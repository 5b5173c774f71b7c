//! Faults that are made on purpose, to show that the soak finds them: `SOAK_FAULT=wrong-byte
//! scripts/soak BINARY`.

/// A fault; the simulated engine, or the soak itself, makes it instead of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One byte of an answer is changed.
    WrongByte,
    /// An event is left out.
    LostEvent,
    /// An event is sent twice.
    DoubledEvent,
    /// An answer carries the token of another request.
    ForeignAnswer,
    /// A stream ends as if it were whole.
    ShortStream,
    /// A tunnel loses the end of what the client sent.
    ShortTunnel,
    /// A client's connections stay open at the end.
    HeldConnections,
    /// Requests are not answered until the end, and with them connections to the engine stay.
    HeldExchanges,
    /// So many connections with TLS stay open at the end that their memory is missed.
    HeldMemory,
    /// A request that had to be refused reaches the engine.
    PassedGarbage,
    /// A record of the log is read twice.
    DoubledRecord,
    /// A record of the log is not read.
    LostRecord,
    /// The program says on standard error that it panicked.
    Panic,
    /// The proxy is killed instead of being asked to stop.
    Kill,
}

const NAMES: [(&str, Fault); 14] = [
    ("wrong-byte", Fault::WrongByte),
    ("lost-event", Fault::LostEvent),
    ("doubled-event", Fault::DoubledEvent),
    ("foreign-answer", Fault::ForeignAnswer),
    ("short-stream", Fault::ShortStream),
    ("short-tunnel", Fault::ShortTunnel),
    ("held-connections", Fault::HeldConnections),
    ("held-exchanges", Fault::HeldExchanges),
    ("held-memory", Fault::HeldMemory),
    ("passed-garbage", Fault::PassedGarbage),
    ("doubled-record", Fault::DoubledRecord),
    ("lost-record", Fault::LostRecord),
    ("panic", Fault::Panic),
    ("kill", Fault::Kill),
];

impl Fault {
    /// Reads the name of a fault.
    pub(crate) fn read(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        let all = || NAMES.map(|(known, _)| known).join(", ");
        found
            .map(|(_, fault)| *fault)
            .ok_or_else(|| format!("SOAK_FAULT={name} is none of {}", all()))
    }
}
