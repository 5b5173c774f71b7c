//! The pages of the admin listener.

use std::sync::Arc;

use cetusguard_config::address::Address;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;

use super::access::{AdminRequest, Signers, foreign_page, has_token, signers};
use super::body::AnswerBody;
use super::clients::describe_clients;
use super::page;
use super::policy::describe_policy;
use super::readiness::Readiness;
use super::scrape::{Figures, OPEN_METRICS, PLAIN_TEXT, open_metrics, plain_text, registry};
use super::stream::{EventStream, StreamEnd};
use crate::config::AdminAccess;
use crate::flow::Proxy;
use crate::telemetry::live::{DecisionFilter, SubscriptionEnd};

/// The path of the page for browsers.
const PAGE_PATH: &str = "/";
/// The content type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// The content type of sentences.
const SENTENCE: &str = "text/plain; charset=utf-8";

/// The pages, and their sources.
#[derive(Debug)]
pub(super) struct Site {
    figures: Arc<Figures>,
    registry: Registry,
    readiness: Readiness,
    /// Becomes true when the listener ends.
    ended: watch::Receiver<bool>,
}

/// An answer.
pub(super) struct AdminAnswer {
    pub(super) response: Response<AnswerBody>,
    /// The end of the subscription whose events the answer carries, if it is a stream.
    pub(super) subscription: Option<SubscriptionEnd>,
}

/// The right to an answer.
pub(super) struct PageAdmission {
    /// The conditions that the request met, and their changes from then on.
    access: watch::Receiver<AdminAccess>,
}

/// The knowledge about a connection that decides about its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionKind {
    pub(super) is_tcp: bool,
    pub(super) is_tls: bool,
    /// The authorities by which the client's certificate was checked, if it had to show one.
    pub(super) signers: Option<Signers>,
}

/// The content of a page.
struct AdminPage {
    status: StatusCode,
    content_type: &'static str,
    text: String,
}

impl AdminPage {
    fn sentence(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            content_type: SENTENCE,
            text: format!("{text}\n"),
        }
    }

    fn json(value: &Value) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "application/json",
            text: format!("{value:#}\n"),
        }
    }
}

impl Site {
    /// The pages about a proxy whose frontends have these addresses, until the listener ends.
    pub(super) fn new(
        proxy: Arc<Proxy>,
        frontends: Vec<Address>,
        ended: watch::Receiver<bool>,
    ) -> Self {
        let figures = Arc::new(Figures::new(proxy, frontends));
        Self {
            registry: registry(&figures),
            figures,
            readiness: Readiness::default(),
            ended,
        }
    }

    /// Returns the proxy that the pages are about.
    pub(super) fn proxy(&self) -> &Proxy {
        &self.figures.proxy
    }

    /// Finds out whether a request is entitled to an answer.
    ///
    /// # Errors
    /// Returns the answer to a request that must not, or cannot, be answered otherwise.
    pub(super) fn admit(
        &self,
        request: &Request<Incoming>,
        connection: &ConnectionKind,
    ) -> Result<PageAdmission, Box<AdminAnswer>> {
        // The stream of a request sees every change after this moment.
        let mut changes = self.figures.proxy.status.access();
        let access = changes.borrow_and_update().clone();
        let has_signers = |now: &Signers| connection.signers.as_ref() == Some(now);
        // Unix sockets have no TLS.
        if connection.is_tcp && !signers(&access).is_none_or(has_signers) {
            let page = AdminPage::sentence(
                StatusCode::FORBIDDEN,
                "admin-tls-cacert has changed since the client connected; connect again",
            );
            return Err(Box::new(write_response(page, None)));
        }
        // The page holds no data. A browser cannot send the token before it has the page.
        let is_page = request.uri().path() == PAGE_PATH;
        let is_known = is_page
            || access
                .token
                .as_ref()
                .is_none_or(|token| has_token(request.headers(), token));
        if !is_known {
            let page = AdminPage::sentence(
                StatusCode::UNAUTHORIZED,
                "the token of admin-token-file is missing or wrong; send it as Authorization: \
                Bearer TOKEN",
            );
            let challenge = Some((WWW_AUTHENTICATE, "Bearer"));
            return Err(Box::new(write_response(page, challenge)));
        }
        let asked = AdminRequest {
            is_tcp: connection.is_tcp,
            has_proven_name: access.token.is_some() || connection.is_tls,
            is_page,
        };
        if let Some(why) = foreign_page(request.headers(), asked) {
            let page = AdminPage::sentence(StatusCode::FORBIDDEN, &format!("refused: {why}"));
            return Err(Box::new(write_response(page, None)));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let page = AdminPage::sentence(StatusCode::METHOD_NOT_ALLOWED, "ask with GET or HEAD");
            let allowed = Some((ALLOW, "GET, HEAD"));
            return Err(Box::new(write_response(page, allowed)));
        }
        // A URL could name another host than `Host` does.
        let mistake = if request.uri().authority().is_some() {
            "send the path alone, without a scheme and a host"
        } else if request.body().is_end_stream() {
            return Ok(PageAdmission { access: changes });
        } else {
            "send the request without a body"
        };
        let page = AdminPage::sentence(StatusCode::BAD_REQUEST, mistake);
        Err(Box::new(write_response(page, None)))
    }

    /// Answers a request that is entitled to it.
    pub(super) async fn answer(
        &self,
        request: &Request<Incoming>,
        admission: PageAdmission,
    ) -> AdminAnswer {
        match request.uri().path() {
            PAGE_PATH => write_page(),
            "/decisions" => self.decisions(request, admission),
            _ => write_response(self.page(request).await, None),
        }
    }

    /// Begins a stream of decisions.
    fn decisions(&self, request: &Request<Incoming>, admission: PageAdmission) -> AdminAnswer {
        let filter = match DecisionFilter::parse(request.uri().query().unwrap_or_default()) {
            Ok(filter) => filter,
            Err(mistake) => {
                let page = AdminPage::sentence(StatusCode::BAD_REQUEST, &mistake);
                return write_response(page, None);
            }
        };
        let empty = AdminPage {
            status: StatusCode::OK,
            content_type: EVENT_STREAM,
            text: String::new(),
        };
        let mut answer = write_response(empty, None);
        let live = self.figures.proxy.live.as_ref();
        if request.method() == Method::HEAD {
            return answer;
        }
        let Some(subscription) = live.and_then(|live| live.decisions.subscribe(filter)) else {
            let page = AdminPage::sentence(
                StatusCode::SERVICE_UNAVAILABLE,
                "as many clients read decisions as may; end one, and try again",
            );
            return write_response(page, Some((RETRY_AFTER, "10")));
        };
        answer.subscription = Some(subscription.end());
        let end = StreamEnd {
            listener: self.ended.clone(),
            access: admission.access,
        };
        *answer.response.body_mut() = AnswerBody::Events(EventStream::new(subscription, end));
        answer
    }

    async fn page(&self, request: &Request<Incoming>) -> AdminPage {
        match request.uri().path() {
            "/metrics" => self.metrics(request.headers()),
            "/healthz" => AdminPage::sentence(StatusCode::OK, "ok"),
            "/readyz" => match self.readiness.check(&self.figures.proxy).await {
                Ok(()) => AdminPage::sentence(StatusCode::OK, "ok"),
                Err(why) => AdminPage::sentence(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &format!("not ready: {why}"),
                ),
            },
            "/policy" => {
                AdminPage::json(&describe_policy(&self.figures.policy, &self.figures.proxy))
            }
            "/clients" => AdminPage::json(&describe_clients(&self.figures.proxy)),
            _ => AdminPage::sentence(
                StatusCode::NOT_FOUND,
                "there are /, /metrics, /healthz, /readyz, /policy, /decisions and /clients",
            ),
        }
    }

    /// Writes the metrics in OpenMetrics for clients that accept it, and else in the older format.
    fn metrics(&self, headers: &HeaderMap) -> AdminPage {
        let Ok(text) = open_metrics(&self.registry) else {
            return AdminPage::sentence(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics cannot be written: please report this bug in Cetusguard",
            );
        };
        let accepts_open_metrics = headers
            .get_all(ACCEPT)
            .iter()
            .any(|accept| contains(accept, "application/openmetrics-text"));
        let (content_type, text) = if accepts_open_metrics {
            (OPEN_METRICS, text)
        } else {
            (PLAIN_TEXT, plain_text(&text))
        };
        AdminPage {
            status: StatusCode::OK,
            content_type,
            text,
        }
    }
}

fn contains(value: &HeaderValue, word: &str) -> bool {
    value
        .to_str()
        .is_ok_and(|value| value.to_ascii_lowercase().contains(word))
}

/// Writes the answer with the page for browsers.
fn write_page() -> AdminAnswer {
    let page = AdminPage {
        status: StatusCode::OK,
        content_type: "text/html; charset=utf-8",
        text: String::new(),
    };
    let mut answer = write_response(page, Some((CROSS_ORIGIN_OPENER_POLICY, "same-origin")));
    let headers = answer.response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, page::content_security_policy());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    *answer.response.body_mut() = AnswerBody::from(page::HTML);
    answer
}

fn write_response(page: AdminPage, more: Option<(HeaderName, &'static str)>) -> AdminAnswer {
    let mut response = Response::new(AnswerBody::from(page.text));
    *response.status_mut() = page.status;
    let headers = [
        (CONTENT_TYPE, page.content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    for (name, value) in headers.into_iter().chain(more) {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    AdminAnswer {
        response,
        subscription: None,
    }
}
