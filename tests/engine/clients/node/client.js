// What dockerode's users do, one scenario a run: client.js ADDRESS SCENARIO CONTAINER IMAGE
// Prints the outcome as JSON; an error ends the program with its status and message.
'use strict';
const { PassThrough, Readable } = require('node:stream');
const { once } = require('node:events');
const Docker = require('dockerode');

const [address, scenario, name, image] = process.argv.slice(2);
const { protocol, hostname, port, pathname } = new URL(address);
const docker = new Docker(
  protocol === 'unix:' ? { socketPath: pathname } : { host: hostname, port, protocol: 'http' },
);

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

// Parts the engine's multiplexed stream into output and error, up to its end.
async function demux(stream) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => [out, err].forEach((one) => one.end()));
  return { out: await text(out), err: await text(err) };
}

const scenarios = {
  list: async () => (await docker.listContainers()).map((one) => one.Names[0]),

  run: async () => {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const script = ['sh', '-c', 'echo out; echo err >&2; exit 5'];
    const [result, container] = await docker.run(image, script, [out, err], { Tty: false });
    await container.remove();
    return { status: result.StatusCode, out: out.read().toString(), err: err.read().toString() };
  },

  exec: async () => {
    const script = ['sh', '-c', 'cat; echo err >&2; exit 6'];
    const streams = { AttachStdin: true, AttachStdout: true, AttachStderr: true };
    const exec = await docker.getContainer(name).exec({ Cmd: script, ...streams });
    const stream = await exec.start({ hijack: true, stdin: true });
    stream.end('typed\n');
    const printed = await demux(stream);
    return { ...printed, status: (await exec.inspect()).ExitCode };
  },

  // Without `hijack` the request has no Upgrade header, and the answer is a plain 200.
  execWithoutUpgrade: async () => {
    const exec = await docker.getContainer(name).exec({ Cmd: ['echo', 'hi'], AttachStdout: true });
    return demux(await exec.start({}));
  },

  attach: async () => {
    const options = { stream: true, stdin: true, stdout: true, hijack: true };
    const stream = await docker.getContainer(name).attach(options);
    stream.write('word\n');
    const [chunk] = await once(stream, 'data');
    stream.destroy();
    return chunk.subarray(8).toString();
  },

  logs: async () => {
    const stream = await docker.getContainer(name).logs({ follow: true, stdout: true });
    const [chunk] = await once(stream, 'data');
    stream.destroy();
    return chunk.subarray(8).toString();
  },

  events: async () => {
    const filters = { container: [name], event: ['pause'] };
    const stream = await docker.getEvents({ filters: JSON.stringify(filters) });
    const container = docker.getContainer(name);
    await container.pause();
    const [chunk] = await once(stream, 'data');
    stream.destroy();
    await container.unpause();
    return JSON.parse(chunk).Action;
  },

  stats: async () => (await docker.getContainer(name).stats({ stream: false })).name,

  archive: async () => {
    const container = docker.getContainer(name);
    const archive = await text(await container.getArchive({ path: '/bin/true' }));
    await container.putArchive(Readable.from([Buffer.alloc(1024)]), { path: '/' });
    return archive.startsWith('true');
  },

  networksAndVolumes: async () => {
    const network = await docker.createNetwork({ Name: name + '-made' });
    await docker.createVolume({ Name: name + '-made' });
    await docker.getVolume(name + '-made').remove();
    await network.remove();
    return 'removed';
  },

  // What Homepage asks of its widgets' containers.
  homepage: async () => {
    const [listed] = await docker.listContainers({ all: true });
    const container = docker.getContainer(name);
    const [details, stats] = [await container.inspect(), await container.stats({ stream: false })];
    return [listed.Names[0], details.State.Status, stats.name];
  },

  // Homarr lists, takes the figures, and looks for the host of a container before it reads its log or presses a button.
  homarrLogs: async () => {
    const [listed] = await docker.listContainers({ all: true });
    const container = docker.getContainer(listed.Id);
    await container.stats({ stream: false, 'one-shot': true });
    const details = await container.inspect();
    const log = await container.logs({ stdout: true, stderr: true, tail: 10, follow: false });
    return [details.Name, log.subarray(8).toString()];
  },

  homarrButtons: async () => {
    const container = docker.getContainer((await docker.listContainers({ all: true }))[0].Id);
    for (const button of ['restart', 'stop', 'start']) {
      await container.inspect();
      await container[button]();
    }
    await container.inspect();
    const [listed] = await docker.listContainers({ all: true });
    return listed.State;
  },

  whatsUpDocker: async () => {
    const filters = { type: ['container'], container: [name] };
    const events = await docker.getEvents({ since: 1, filters: JSON.stringify({ ...filters, event: ['start'] }) });
    const [chunk] = await once(events, 'data');
    events.destroy();
    const [listed] = await docker.listContainers();
    await docker.getContainer(listed.Id).inspect();
    const image = await docker.getImage(listed.Image).inspect();
    return [listed.Names[0], image.RepoTags, JSON.parse(chunk).Action];
  },

  // What Dozzle asks: the host, what runs, and streams of what happens, is printed and is used.
  dozzle: async () => {
    await docker.ping();
    const [info, version] = [await docker.info(), await docker.version()];
    const [listed] = await docker.listContainers({ all: true });
    const container = docker.getContainer(name);
    const details = await container.inspect();
    const first = async (stream) => {
      const [chunk] = await once(stream, 'data');
      stream.destroy();
      return chunk;
    };
    // From the first second on, so that the start of the container is among them.
    const filters = JSON.stringify({ container: [name], event: ['start'] });
    const event = await first(await docker.getEvents({ since: 1, filters }));
    const line = await first(await container.logs({ follow: true, stdout: true, timestamps: true }));
    const stats = await first(await container.stats({ stream: true }));
    return {
      host: info.ServerVersion === version.Version,
      names: [listed.Names[0], details.Name, JSON.parse(stats).name],
      event: JSON.parse(event).Action,
      line: line.toString().split(' ')[1],
    };
  },

  // What the monitor of Uptime Kuma asks.
  uptimeKuma: async () => {
    const [listed] = await docker.listContainers({ all: true });
    return [listed.Names[0], (await docker.getContainer(name).inspect()).State.Running];
  },

  remove: async () => docker.getContainer(name).remove({ force: true }),
};

scenarios[scenario]()
  .then((outcome) => console.log(JSON.stringify({ outcome })))
  .catch((error) => console.log(JSON.stringify({ status: error.statusCode, error: error.message })))
  .finally(() => process.exit());
