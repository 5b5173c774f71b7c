//! The names in a client's certificate. TLS has verified the certificate before.

use std::net::IpAddr;
use std::time::SystemTime;

use cetusguard_policy::Certificate;
use ring::digest::{SHA256, digest};
use x509_cert::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{self, Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

/// The attribute of a common name (RFC 4519 §2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Reads a certificate (DER).
///
/// A subject with several common names counts as one without: none of them is the certain one.
///
/// # Errors
/// The certificate, or a part that is read, does not follow RFC 5280.
pub(crate) fn read_certificate(certificate: &[u8]) -> Result<Certificate, der::Error> {
    let certificate = x509_cert::Certificate::from_der(certificate)?;
    let body = certificate.tbs_certificate();
    let mut read = Certificate::default();
    let mut names = body
        .subject()
        .iter()
        .filter(|attribute| attribute.oid == COMMON_NAME);
    if let (Some(name), None) = (names.next(), names.next()) {
        let name: DirectoryString = name.value.decode_as()?;
        read.common_name = Some(name.value().into_owned());
    }
    let alternatives = body
        .get_extension::<SubjectAltName>()?
        .map(|(_, names)| names.0)
        .unwrap_or_default();
    for name in alternatives {
        match name {
            GeneralName::DnsName(name) => read.dns.push(name.to_string()),
            GeneralName::UniformResourceIdentifier(uri) => read.uri.push(uri.to_string()),
            GeneralName::IpAddress(bytes) => read.ip.extend(address(bytes.as_bytes())),
            _ => {}
        }
    }
    let key = body.subject_public_key_info().to_der()?;
    read.pin.copy_from_slice(digest(&SHA256, &key).as_ref());
    Ok(read)
}

/// Reads the end of a certificate's validity (DER); `None` if it is no certificate.
pub(crate) fn expiry(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(validity.not_after.to_system_time())
}

/// Returns whether a certificate (DER) is of a version before 3, which has no extensions.
pub(crate) fn is_old_version(certificate: &[u8]) -> bool {
    let read = x509_cert::Certificate::from_der(certificate);
    read.is_ok_and(|certificate| certificate.tbs_certificate().version() != Version::V3)
}

/// Four bytes, or sixteen; others are networks, which only a CA has.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    four.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SanType};

    #[test]
    fn names_and_the_hash_of_the_key_are_read() {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![
            "ci.example.com".to_owned(),
            "10.0.0.7".to_owned(),
            "::1".to_owned(),
        ])
        .expect("names");
        params.subject_alt_names.push(SanType::URI(
            "spiffe://example.com/ci".try_into().expect("a URI"),
        ));
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "nobody");
        params.distinguished_name.push(DnType::CommonName, "ci-7 é");
        let made = params.self_signed(&key).expect("a certificate");
        let read = read_certificate(made.der()).expect("readable");
        assert_eq!(read.common_name.as_deref(), Some("ci-7 é"));
        assert_eq!(
            (read.dns, read.uri),
            (
                vec!["ci.example.com".to_owned()],
                vec!["spiffe://example.com/ci".to_owned()]
            )
        );
        assert_eq!(
            read.ip.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.7", "::1"]
        );
        assert_eq!(
            read.pin,
            digest(&SHA256, &key.subject_public_key_info()).as_ref()
        );
    }

    /// A certificate of version 1 (`openssl x509 -req` without extensions).
    const OLD: &str = "MIIBEjCBuQIUaUkgln/4p6JORo4cq3uUsmGQj0UwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAeFw0y\
        NjExMjgwODE4MDdaFw0yNjExMzAwODE4MDdaMAwxCjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjO\
        PQMBBwNCAATDyzGozz2yK3wmRKIjuITdlqcx72oZu9E0px553wDqHHHtVEEM/fYPcj/RoUzy2i+pWhCl\
        5t9Q3xf3WgKZt4tIMAoGCCqGSM49BAMCA0gAMEUCIEF9TYOKoLXpt/iOjFxXw8yH8JJk/7fdgNq5tcsb\
        njcNAiEA3ytN6Q5uP2v6Yuno+Bo2dQ/deMX/uaRcLs6nrAoJ5dg=";

    #[test]
    fn certificates_of_version_1_are_recognised() {
        let old = data_encoding::BASE64
            .decode(OLD.as_bytes())
            .expect("base64");
        assert!(is_old_version(&old));
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("names");
        let new = params.self_signed(&key).expect("a certificate");
        assert!(!is_old_version(new.der()) && !is_old_version(b"no certificate"));
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for bytes in [&b""[..], b"\x30\x00", b"\x30\x82\xff\xff", &[0x30; 300]] {
            assert!(read_certificate(bytes).is_err(), "{bytes:?}");
        }
    }
}
