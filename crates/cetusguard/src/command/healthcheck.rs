//! `cetusguard healthcheck`: an image without a shell has no other program that could ask whether
//! the proxy works.

use std::fmt;
use std::io;
use std::time::Duration;

use cetusguard_config::Mistake;
use cetusguard_config::address::Address;
use cetusguard_config::frontends::Files;
use cetusguard_config::written::Written;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tokio::io::AsyncWriteExt;

use cetusguard_proxy::HEALTH_CHECK;
use cetusguard_proxy::SIGNATURE;
use cetusguard_proxy::pinned_client_settings;
use cetusguard_proxy::{Backend, Unreachable, tls_error};

/// The whole check; container engines give up after 30 s by default.
const LIMIT: Duration = Duration::from_secs(5);

/// The reason why a frontend did not answer the check as a healthy proxy does.
#[derive(Debug)]
pub(super) enum Unhealthy {
    /// The check cannot be made.
    Mistake(String),
    /// The check failed.
    Failed {
        /// The address that was asked.
        address: Address,
        /// Set if the check speaks TLS there.
        speaks_tls: bool,
        /// The cause.
        why: HealthFailure,
    },
}

/// The cause of a failed check.
#[derive(Debug)]
pub(super) enum HealthFailure {
    /// No process listens there.
    NothingListens(String),
    /// There is no connection.
    Unreachable(String),
    /// There is no answer in time.
    Late,
    /// The certificate that answers is another one.
    OtherCertificate,
    /// The frontend has its certificate, and asks the check for a client's.
    WantsCertificate,
    /// The connection broke.
    Broken(String),
    /// The answer is not HTTP.
    NotHttp,
    /// Cetusguard refuses the request, with this status and for this reason.
    Refused(String, String),
    /// Another answer than that of a healthy engine.
    Answered(String, String),
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, speaks_tls, why) = match self {
            Self::Mistake(what) => return f.write_str(what),
            Self::Failed {
                address,
                speaks_tls,
                why,
            } => (address, *speaks_tls, why),
        };
        let advice = match speaks_tls {
            true => {
                "; where clients need certificates, add a unix:// frontend and name it: \
                healthcheck unix:///PATH"
            }
            false => {
                "; where the frontend speaks TLS, give the check its frontend-tls-cert and \
                frontend-tls-key"
            }
        };
        match why {
            HealthFailure::NothingListens(what) | HealthFailure::Unreachable(what) => {
                write!(f, "the proxy at {address} cannot be reached: {what}")
            }
            HealthFailure::Late => {
                write!(f, "{address} did not answer within {} s", LIMIT.as_secs())
            }
            HealthFailure::OtherCertificate => write!(
                f,
                "another certificate than that of frontend-tls-cert answers at {address}; give the \
                check the files that serve has read"
            ),
            HealthFailure::WantsCertificate => write!(
                f,
                "the proxy at {address} asks for a client certificate, which this check does not \
                have; add a unix:// frontend and name it: healthcheck unix:///PATH"
            ),
            HealthFailure::Broken(what) => {
                write!(f, "the connection to {address} broke: {what}{advice}")
            }
            HealthFailure::NotHttp => write!(f, "{address} does not answer in HTTP{advice}"),
            HealthFailure::Refused(status, why) => {
                write!(f, "/_ping was answered with {status}: {SIGNATURE}{why}")
            }
            HealthFailure::Answered(status, text) => {
                write!(f, "/_ping was answered with {status}: {text}")
            }
        }
    }
}

impl std::error::Error for Unhealthy {}

/// Asks for `/_ping` through a frontend. The error is the reason why the proxy is not healthy.
pub(super) fn run(written: &Written, address: Option<&str>) -> Result<(), Unhealthy> {
    let (address, files) = choose_frontend(written, address).map_err(Unhealthy::Mistake)?;
    let address = match address {
        Address::Tcp { host, port } => Address::Tcp {
            host: reachable_host(&host),
            port,
        },
        other => other,
    };
    let tls = match (files, &address) {
        ([_, Some(cert), Some(key)], Address::Tcp { .. }) => Some(
            pinned_client_settings(cert, Some((cert, key)))
                .map_err(|why| Unhealthy::Mistake(why.to_string()))?,
        ),
        _ => None,
    };
    let speaks_tls = tls.is_some();
    let wants_certificate = speaks_tls && files[0].is_some();
    let frontend = Backend::new(address.clone(), tls, LIMIT);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Unhealthy::Mistake(error.to_string()))?;
    let asked = runtime.block_on(async {
        tokio::time::timeout(LIMIT, ask_for_ping(&frontend, wants_certificate)).await
    });
    asked
        .unwrap_or(Err(HealthFailure::Late))
        .map_err(|why| Unhealthy::Failed {
            address,
            speaks_tls,
            why,
        })
}

/// Returns the address to ask, and the TLS files of the frontend there: of the first one that can
/// be asked if none is named.
fn choose_frontend<'w>(
    written: &'w Written,
    named: Option<&str>,
) -> Result<(Address, Files<'w>), String> {
    let mut mistakes = Vec::new();
    let frontends = written.frontends(&mut mistakes);
    let Some(text) = named else {
        let mut asked = frontends
            .into_iter()
            .filter(|frontend| !matches!(frontend.address, Address::Inherited(_)));
        let wrong = mistakes.first().map(Mistake::in_one_line);
        let none = || {
            "fd:// does not say where to ask; name the address: healthcheck unix:///PATH".to_owned()
        };
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
    let there = frontends
        .iter()
        .find(|frontend| frontend.address == address);
    let there = there.or_else(|| {
        frontends
            .iter()
            .find(|frontend| is_at_port(&frontend.address))
    });
    let files = there
        .or(frontends.first())
        .map_or(written.frontend_files(), |frontend| frontend.files);
    Ok((address, files))
}

/// Returns the address at which to ask a socket that listens on every address.
pub(super) fn reachable_host(host: &str) -> String {
    match host {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "::1".to_owned(),
        host => host.to_owned(),
    }
}

/// Asks for `/_ping`. A frontend whose clients need certificates may close the connection before
/// its alert is read.
async fn ask_for_ping(frontend: &Backend, wants_certificate: bool) -> Result<(), HealthFailure> {
    let unreachable = |why: Unreachable| match (why.tls.as_deref().and_then(tls_failure), why.kind)
    {
        (Some(failure), _) => failure,
        (None, Some(io::ErrorKind::ConnectionRefused)) => HealthFailure::NothingListens(why.what),
        (None, _) => HealthFailure::Unreachable(why.what),
    };
    let mut stream = frontend.connect().await.map_err(unreachable)?;
    let request = format!(
        "GET /_ping HTTP/1.1\r\nHost: cetusguard\r\nUser-Agent: {HEALTH_CHECK}\r\nConnection: \
        close\r\n\r\n"
    );
    // The handshake has shown that the frontend's own certificate is at the other end.
    let lost = |error: io::Error| match tls_error(&error).and_then(tls_failure) {
        Some(failure) => failure,
        None if wants_certificate => HealthFailure::WantsCertificate,
        None => HealthFailure::Broken(error.to_string()),
    };
    stream
        .output
        .write_all(request.as_bytes())
        .await
        .map_err(lost)?;
    stream.output.flush().await.map_err(lost)?;
    let mut answer = Vec::new();
    while stream.input.fill().await.map_err(lost)? > 0 && answer.len() < 64 << 10 {
        answer.extend_from_slice(&stream.input.buffer.split());
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_http = head.starts_with("HTTP/1.");
    match head.split(' ').nth(1).filter(|_| is_http) {
        Some("200") => Ok(()),
        Some(status) => Err(match refusal_of(body) {
            Some(why) => HealthFailure::Refused(status.to_owned(), why),
            None => HealthFailure::Answered(status.to_owned(), body.trim().to_owned()),
        }),
        None if wants_certificate && answer.is_empty() => Err(HealthFailure::WantsCertificate),
        None => Err(HealthFailure::NotHttp),
    }
}

/// Returns the reason of a refusal of Cetusguard.
fn refusal_of(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    answer
        .get("message")?
        .as_str()?
        .strip_prefix(SIGNATURE)
        .map(str::to_owned)
}

/// Returns the failure that an error of TLS about certificates shows; `None` for other errors. A
/// frontend asks for a client's certificate only after the client has verified that of the
/// frontend.
fn tls_failure(error: &TlsError) -> Option<HealthFailure> {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    match error {
        TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Some(HealthFailure::OtherCertificate)
        }
        TlsError::AlertReceived(
            AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | UnknownCA
            | UnsupportedCertificate,
        ) => Some(HealthFailure::WantsCertificate),
        _ => None,
    }
}
