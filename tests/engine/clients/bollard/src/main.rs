//! Does with bollard what its users do, through the proxy that `DOCKER_HOST` names, with the image
//! that the first argument names. Ends with an error at the first thing that is not as it should
//! be.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

const NAME: &str = "bollard-client";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let image = std::env::args().nth(1).expect("an image");
    let docker = Docker::connect_with_defaults()
        .expect("DOCKER_HOST")
        .negotiate_version()
        .await
        .expect("a version");
    let patience = std::env::var("CETUSGUARD_TEST_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    let result = tokio::time::timeout(
        Duration::from_secs(patience.unwrap_or(60)),
        work(&docker, &image),
    )
    .await;
    let force = RemoveContainerOptionsBuilder::default().force(true).build();
    let _ = docker.remove_container(NAME, Some(force)).await;
    result.expect("in time").expect("no error");
    println!("ok");
}

async fn work(docker: &Docker, image: &str) -> Result<(), Error> {
    assert_eq!(docker.ping().await?, "OK");
    docker.version().await?;
    let filter = HashMap::from([("container", vec![NAME]), ("event", vec!["start"])]);
    // Streams of bollard begin when they are first asked: the event that is wanted may be in the
    // past by then.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs()
        .to_string();
    let mut events = docker.events(Some(
        EventsOptionsBuilder::default()
            .since(&since)
            .filters(&filter)
            .build(),
    ));
    create(docker, image).await?;
    docker.start_container(NAME, None).await?;
    let event = events.next().await.expect("an event")?;
    assert_eq!(event.action.as_deref(), Some("start"));

    let all = docker
        .list_containers(Some(
            ListContainersOptionsBuilder::default().all(true).build(),
        ))
        .await?;
    assert!(all.iter().any(|one| {
        one.names
            .iter()
            .flatten()
            .any(|name| name == &format!("/{NAME}"))
    }));
    assert_eq!(
        exec(docker, &["cat"], "through stdin\n").await?,
        "through stdin\n"
    );
    assert_eq!(
        exec(docker, &["echo", "through stdout"], "").await?,
        "through stdout\n"
    );

    let mut logs = docker.logs(
        NAME,
        Some(
            LogsOptionsBuilder::default()
                .follow(true)
                .stdout(true)
                .build(),
        ),
    );
    assert_eq!(logs.next().await.expect("a line")?.to_string(), "hello\n");
    let mut waiting = docker.wait_container(NAME, None::<WaitContainerOptions>);
    docker.kill_container(NAME, None).await?;
    assert!(matches!(
        waiting.next().await,
        Some(Err(Error::DockerContainerWaitError { code: 137, .. }))
    ));
    Ok(())
}

async fn create(docker: &Docker, image: &str) -> Result<(), Error> {
    let config = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(
            ["sh", "-c", "echo hello; sleep 600"]
                .map(str::to_owned)
                .to_vec(),
        ),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    docker
        .create_container(
            Some(CreateContainerOptionsBuilder::default().name(NAME).build()),
            config,
        )
        .await?;
    Ok(())
}

/// Runs a command in the container with this on its standard input; its output.
async fn exec(docker: &Docker, command: &[&str], stdin: &str) -> Result<String, Error> {
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        ..ExecConfig::default()
    };
    let id = docker.create_exec(NAME, config).await?.id;
    let StartExecResults::Attached {
        mut output,
        mut input,
    } = docker.start_exec(&id, None).await?
    else {
        panic!("the exec was detached");
    };
    input
        .write_all(stdin.as_bytes())
        .await
        .expect("an open stdin");
    input.shutdown().await.expect("an open stdin");
    let mut text = String::new();
    while let Some(piece) = output.next().await {
        text.push_str(&piece?.to_string());
    }
    Ok(text)
}
