//! The page for browsers: one file without any data, which asks the other pages for it.

use std::sync::LazyLock;

use data_encoding::BASE64;
use hyper::header::HeaderValue;
use ring::digest::{SHA256, digest};

/// The page.
pub(super) const HTML: &str = include_str!("page.html");

/// The content security policy of the page. It names the page's own script and style by their
/// hashes, so that no other runs even if a text of a client came in as markup.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
        require-trusted-types-for 'script'; trusted-types 'none'",
        hash_of("<script>", "</script>"),
        hash_of("<style>", "</style>")
    )
});

/// Returns the content security policy of the page.
pub(super) fn content_security_policy() -> HeaderValue {
    // The policy has visible characters alone. The fallback forbids everything.
    HeaderValue::from_str(&POLICY).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Returns the source expression of the element between two tags (CSP Level 3, section 2.3.1).
fn hash_of(begin: &str, end: &str) -> String {
    let element = HTML
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once(end));
    let content = element.map_or("", |(content, _)| content);
    let hash = digest(&SHA256, content.as_bytes());
    format!("'sha256-{}'", BASE64.encode(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_fetches_nothing_of_others() {
        for tag in ["<script", "<style", "</script", "</style"] {
            assert_eq!(HTML.matches(tag).count(), 1, "{tag}");
        }
        // The only address is the name of a format.
        let addresses = HTML.replace("http://www.w3.org/2000/svg", "");
        for way in [
            "://",
            "src=",
            "import(",
            "@import",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=",
            "onclick",
        ] {
            assert!(!addresses.contains(way), "{way}");
        }
    }
}
