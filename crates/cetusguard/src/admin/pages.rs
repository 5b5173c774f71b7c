//! The pages of the admin listener.

use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use prometheus_client::registry::Registry;

use super::access::{foreign_page, has_token};
use super::policy::describe_policy;
use super::readiness::Readiness;
use super::scrape::{Figures, OPEN_METRICS, PLAIN_TEXT, open_metrics, plain_text, registry};
use crate::flow::Proxy;

/// The content type of sentences.
const SENTENCE: &str = "text/plain; charset=utf-8";

/// The pages, and their sources.
#[derive(Debug)]
pub(super) struct Site {
    figures: Arc<Figures>,
    registry: Registry,
    readiness: Readiness,
}

/// The content of a page.
struct Page {
    status: StatusCode,
    content_type: &'static str,
    text: String,
}

impl Page {
    fn sentence(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            content_type: SENTENCE,
            text: format!("{text}\n"),
        }
    }
}

impl Site {
    /// The pages about a proxy whose frontends have these names.
    pub(super) fn new(proxy: Arc<Proxy>, frontends: Vec<Option<String>>) -> Self {
        let figures = Arc::new(Figures::new(proxy, frontends));
        Self {
            registry: registry(&figures),
            figures,
            readiness: Readiness::default(),
        }
    }

    /// Returns the answer to a request that must not, or cannot, be answered otherwise.
    pub(super) fn refuse(
        &self,
        request: &Request<Incoming>,
        is_tcp: bool,
    ) -> Option<Response<String>> {
        let token = self.figures.proxy.status.token();
        let is_known = token
            .as_ref()
            .is_none_or(|token| has_token(request.headers(), token));
        if !is_known {
            let page = Page::sentence(
                StatusCode::UNAUTHORIZED,
                "the token of admin-token-file is missing or wrong; send it as Authorization: \
                Bearer TOKEN",
            );
            return Some(write_response(page, Some((WWW_AUTHENTICATE, "Bearer"))));
        }
        if let Some(why) = foreign_page(request.headers(), is_tcp && token.is_none()) {
            let page = Page::sentence(StatusCode::FORBIDDEN, &format!("refused: {why}"));
            return Some(write_response(page, None));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let page = Page::sentence(StatusCode::METHOD_NOT_ALLOWED, "ask with GET or HEAD");
            return Some(write_response(page, Some((ALLOW, "GET, HEAD"))));
        }
        // A URL could name another host than `Host` does.
        let mistake = if request.uri().authority().is_some() {
            "send the path alone, without a scheme and a host"
        } else if request.body().is_end_stream() {
            return None;
        } else {
            "send the request without a body"
        };
        let page = Page::sentence(StatusCode::BAD_REQUEST, mistake);
        Some(write_response(page, None))
    }

    /// Answers a request that was not refused.
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        write_response(self.page(request).await, None)
    }

    async fn page(&self, request: &Request<Incoming>) -> Page {
        match request.uri().path() {
            "/metrics" => self.metrics(request.headers()),
            "/healthz" => Page::sentence(StatusCode::OK, "ok"),
            "/readyz" => match self.readiness.check(&self.figures.proxy).await {
                Ok(()) => Page::sentence(StatusCode::OK, "ok"),
                Err(why) => Page::sentence(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &format!("not ready: {why}"),
                ),
            },
            "/policy" => {
                let policy = describe_policy(&self.figures.policy, &self.figures.proxy);
                Page {
                    status: StatusCode::OK,
                    content_type: "application/json",
                    text: format!("{policy:#}\n"),
                }
            }
            _ => Page::sentence(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz, /readyz and /policy",
            ),
        }
    }

    /// Writes the metrics in OpenMetrics for clients that accept it, and else in the older format.
    fn metrics(&self, headers: &HeaderMap) -> Page {
        let Ok(text) = open_metrics(&self.registry) else {
            return Page::sentence(
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
        Page {
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

fn write_response(
    page: Page,
    more: Option<(hyper::header::HeaderName, &'static str)>,
) -> Response<String> {
    let mut response = Response::new(page.text);
    *response.status_mut() = page.status;
    let headers = [
        (CONTENT_TYPE, page.content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    for (name, value) in headers.into_iter().chain(more) {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
