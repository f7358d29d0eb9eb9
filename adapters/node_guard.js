// Stands for a node program that runs already: sees to it that its inspector listens, says where, and ends when the program has ended.
// At SIGTERM an inspector that it has opened is closed again, so that the program runs on as before. Runs on node 10 and later, and
// needs Linux's /proc. Arguments: the program's pid and start time (field 22 of its stat file), the nonce of the lines printed here,
// and the port on which its inspector seems to listen already, or 0.
'use strict';
const fs = require('fs');
const net = require('net');

const pid = process.argv[2], start = process.argv[3], nonce = process.argv[4], known = Number(process.argv[5]);
const POLL = 50, OPENS = 5000, CLOSES = 5000, ANSWERS = 2000, WATCH = 1000; // milliseconds
const MOST = 1 << 20; // bytes of an answer
let ours = null; // the inspector that was opened here
let busy = true; // the program is being asked to open it
let ending = false;

const say = (kind, text) => fs.writeSync(1, 'debugbroker ' + nonce + ' ' + kind + ' ' + String(text).replace(/[^ -~]/g, '?').slice(0, 400) + '\n');
const pause = ms => new Promise(done => setTimeout(done, ms));
const read = file => { try { return fs.readFileSync(file, 'latin1'); } catch (e) { return ''; } };

class Refusal extends Error {
	constructor(kind, text) { super(text); this.kind = kind; }
}

// alive tells whether the program is still there, and no other process of its pid.
function alive() {
	const stat = read('/proc/' + pid + '/stat');
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on
	return fields[19] === start && fields[0] !== 'Z' && fields[0] !== 'X';
}

// listeners are all TCP sockets that listen in our network namespace.
function listeners() {
	const found = [];
	for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
		for (const line of read(file).split('\n').slice(1)) {
			const f = line.trim().split(/\s+/);
			if (f[3] !== '0A') continue;
			const at = f[1].split(':');
			found.push({host: loopback(at[0]), port: parseInt(at[1], 16), inode: f[9]});
		}
	}
	return found;
}

// loopback is how an address of /proc/net/tcp is reached from here, or '' where it is not on loopback only.
function loopback(hex) {
	if (/^......7F$/.test(hex) && hex.length === 8) return hex.match(/../g).reverse().map(b => parseInt(b, 16)).join('.');
	return hex === '00000000000000000000000001000000' ? '::1' : '';
}

// sockets are the inodes of a process's sockets.
function sockets(of) {
	const found = new Set();
	let names = [];
	try { names = fs.readdirSync('/proc/' + of + '/fd'); } catch (e) { if (of === pid && e.code === 'EACCES') throw new Refusal('denied', 'its open files cannot be read'); }
	for (const name of names) {
		let to = '';
		try { to = fs.readlinkSync('/proc/' + of + '/fd/' + name); } catch (e) { continue; }
		const m = /^socket:\[(\d+)\]$/.exec(to);
		if (m) found.add(m[1]);
	}
	return found;
}

function itsListeners() {
	const its = sockets(pid);
	return listeners().filter(l => its.has(l.inode));
}

// holder names who else listens on a port.
function holder(port) {
	const there = listeners().filter(l => l.port === port).map(l => l.inode);
	if (there.length === 0) return '';
	for (const p of fs.readdirSync('/proc')) {
		if (!/^\d+$/.test(p) || p === pid) continue;
		const its = sockets(p);
		if (there.some(i => its.has(i))) return 'pid ' + p;
	}
	return 'another process';
}

const address = at => (at.host === '::1' ? '[::1]' : at.host || '127.0.0.1') + ':' + at.port;

// connect opens a connection, and closes it when ask is answered, at the latest after some time.
function connect(at, first, more) {
	return new Promise((done, fail) => {
		const c = net.connect({host: at.host || '127.0.0.1', port: at.port});
		const chunks = [];
		let size = 0;
		c.setTimeout(ANSWERS, () => c.destroy(new Error('no answer')));
		c.on('connect', () => c.write(first));
		c.on('data', chunk => {
			chunks.push(chunk);
			size += chunk.length;
			if (size > MOST) c.destroy(new Error('too much of an answer'));
			else if (more(Buffer.concat(chunks).toString('latin1'), c)) c.end();
		});
		c.on('error', fail);
		c.on('close', () => done(Buffer.concat(chunks).toString('latin1')));
	});
}

// socketPath asks an inspector for its websocket; '' where no inspector of node's answers.
async function socketPath(at) {
	let answer = '';
	try {
		answer = await connect(at, 'GET /json/list HTTP/1.1\r\nHost: ' + address(at) + '\r\nConnection: close\r\n\r\n', text => {
			const length = /^content-length: *(\d+)\r?$/im.exec(text), body = text.indexOf('\r\n\r\n');
			return length && body >= 0 && text.length >= body + 4 + Number(length[1]);
		});
		const list = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
		const m = /^ws:\/\/[^/]+(\/[0-9A-Za-z._~-]{1,128})$/.exec(list[0].webSocketDebuggerUrl);
		return list[0].type === 'node' && m ? m[1] : '';
	} catch (e) {
		return '';
	}
}

// options are node's own flags for the inspector, as they stand in NODE_OPTIONS and before the script.
function options() {
	const argv = read('/proc/' + pid + '/cmdline').split('\0').slice(1, -1);
	const env = read('/proc/' + pid + '/environ').split('\0').find(v => v.startsWith('NODE_OPTIONS='));
	const words = env ? env.slice(13).split(/\s+/) : [];
	for (const a of argv) {
		if (!a.startsWith('-') && !/^(--inspect-port|--debug-port|-r|--require|--import|--loader)$/.test(words[words.length - 1])) break;
		if (a === '--') break;
		words.push(a);
	}
	let where = '', publish = 'stderr,http';
	words.forEach((w, i) => {
		const m = /^--(?:inspect|inspect-brk|inspect-wait|inspect-port|debug-port)=(.*)$/.exec(w);
		if (m) where = m[1];
		else if (/^--(?:inspect-port|debug-port)$/.test(w)) where = words[i + 1] || '';
		else if (/^--inspect-publish-uid=/.test(w)) publish = w.slice(22);
	});
	const m = /^(?:(\d+)|(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?)$/.exec(where) || [];
	const host = m[2] || m[3] || '127.0.0.1', port = m[1] || m[4];
	return {loopback: /^(127\.[\d.]+|localhost|::1)$/.test(host), where, port: port === undefined ? 9229 : Number(port), http: /http/.test(publish)};
}

// open gets the inspector to listen, and returns where.
async function open() {
	if (known) {
		const at = itsListeners().find(l => l.port === known);
		const path = at && await socketPath(at);
		if (path) return {at, path};
	}
	const o = options();
	if (!o.http) throw new Refusal('hidden', 'its inspector hides its address (--inspect-publish-uid)');
	if (!o.loopback) throw new Refusal('exposed', 'its inspector would listen beyond loopback, on ' + o.where);
	const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(read('/proc/' + pid + '/status'));
	if (!caught || !(parseInt(caught[1].slice(-3), 16) & 0x200)) throw new Refusal('deaf', 'it does not take SIGUSR1, which opens the inspector');
	const before = new Set(itsListeners().map(l => l.inode));
	if (!alive()) throw new Refusal('gone', 'it has ended');
	try { process.kill(Number(pid), 'SIGUSR1'); } catch (e) {
		throw e.code === 'EPERM' ? new Refusal('denied', 'it belongs to another user') : new Refusal('gone', 'it has ended');
	}
	for (const until = Date.now() + OPENS; Date.now() < until; await pause(POLL)) {
		if (!alive()) throw new Refusal('gone', 'it has ended');
		for (const at of itsListeners().filter(l => !before.has(l.inode))) {
			const path = await socketPath(at);
			if (!path) continue;
			ours = {at, path};
			if (!at.host) throw new Refusal('exposed', 'its inspector listened beyond loopback');
			return ours;
		}
	}
	const who = o.port === 0 ? '' : holder(o.port);
	if (who && !itsListeners().some(l => l.port === o.port)) throw new Refusal('taken', 'port ' + o.port + ', on which its inspector would listen, is taken by ' + who);
	throw new Refusal('silent', 'it did not open its inspector within ' + OPENS / 1000 + ' s after SIGUSR1');
}

// frame is a websocket's text frame of a client; the mask of zeros is a mask.
function frame(text) {
	const body = Buffer.from(text);
	return Buffer.concat([Buffer.from([0x81, 0x80 | 126, body.length >> 8, body.length & 255, 0, 0, 0, 0]), body]);
}

const CLOSE = "(typeof require === 'function' ? require : process.getBuiltinModule || process.mainModule.require)('inspector').close()";

// close closes the inspector that we have opened, paused or not: the program runs on without its breakpoints.
async function close() {
	const there = () => alive() && itsListeners().some(l => l.inode === ours.at.inode);
	const ask = JSON.stringify({id: 1, method: 'Runtime.evaluate', params: {expression: CLOSE, includeCommandLineAPI: true}});
	const hello = 'GET ' + ours.path + ' HTTP/1.1\r\nHost: ' + address(ours.at) + '\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
		'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ' + Buffer.from(nonce).toString('base64') + '\r\n\r\n';
	let told = '';
	for (const until = Date.now() + CLOSES; there(); await pause(POLL)) {
		if (Date.now() > until) throw new Error('the inspector at ' + address(ours.at) + ' could not be closed: ' + (told || 'no answer'));
		let asked = false;
		// The answer never comes: the connection ends with the inspector.
		await connect(ours.at, hello, (text, c) => {
			const end = text.indexOf('\r\n\r\n');
			if (end < 0) return false;
			if (!asked) { asked = true; c.write(frame(ask)); }
			told = text.slice(end + 4).slice(0, 200);
			return told !== '';
		}).catch(e => { told = e.message; });
	}
}

async function end(code) {
	if (ending) return;
	ending = true;
	while (busy) await pause(POLL);
	try {
		if (ours) await close();
	} catch (e) {
		say('left', e.message);
		code = 1;
	}
	process.exit(code);
}

for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(s, () => end(0));

(async () => {
	try {
		if (!alive()) throw new Refusal('gone', 'it has ended');
		const found = await open();
		busy = false;
		say('ready', address(found.at) + ' ' + found.path);
		setInterval(() => { if (!ending && !alive()) process.exit(0); }, WATCH);
	} catch (e) {
		busy = false;
		say(e.kind || 'broken', e.message);
		end(1);
	}
})();
