'use strict';

let last = process.hrtime.bigint();
let longest = 0n;
let asked = '';

function pace() {
  const now = process.hrtime.bigint();
  if (now - last > longest) longest = now - last;
  last = now;
  if (longest < 0n) {
    console.log('time runs backwards'); // BREAK
  }
  if (asked) {
    // console.log goes to a front end too, and node 20 can crash where that one drops at that moment.
    process.stdout.write(`${asked} ${longest}\n`);
    asked = '';
    longest = 0n;
  }
  setTimeout(pace, 1);
}

process.stdin.on('data', (line) => { asked = line.toString().trim(); });
process.stdin.on('end', () => process.exit());
console.log('pacing');
pace();
