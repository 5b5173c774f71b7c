//! Certificates for one test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::TempDir;

/// A CA, a server and a client that it signed, and a client that it did not sign; as PEM files.
#[derive(Debug)]
pub struct Certs {
    /// The folder: `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, `stranger.pem`, `stranger.key`.
    pub folder: TempDir,
}

impl Certs {
    /// Makes them all.
    ///
    /// # Panics
    /// Never with these parameters.
    #[must_use]
    pub fn make() -> Self {
        let folder = TempDir::new();
        let ca = authority();
        folder.write("ca.pem", &ca.pem());
        leaf(&folder, &ca, "server", ExtendedKeyUsagePurpose::ServerAuth);
        leaf(&folder, &ca, "client", ExtendedKeyUsagePurpose::ClientAuth);
        leaf(&folder, &authority(), "stranger", ExtendedKeyUsagePurpose::ClientAuth);
        Self { folder }
    }

    /// The path of one of the files.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.file(name)
    }

    /// What a TLS client uses that trusts the CA and shows the certificate of this name, if any.
    ///
    /// # Panics
    /// Never with the names of this type's files.
    #[must_use]
    pub fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca.pem")).expect("ca.pem")).expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from_pem_file(self.file(&format!("{own}.pem"))).expect(own)];
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{own}.key"))).expect(own);
                builder.with_client_auth_cert(chain, key).expect(own)
            }
        };
        Arc::new(config)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn leaf(folder: &TempDir, ca: &CertifiedIssuer<'static, KeyPair>, name: &str, purpose: ExtendedKeyUsagePurpose) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
    params.extended_key_usages = vec![purpose];
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    folder.write(&format!("{name}.pem"), &certificate.pem());
    folder.write(&format!("{name}.key"), &key.serialize_pem());
}
