'use strict';

function tick(count) {
  const square = count * count;
  const label = `tick ${count}`; // BREAK
  console.log(label);
  return square;
}

const ticks = Number(process.argv[2] || 0);
const code = Number(process.argv[3] || 0);
let count = 0;
const timer = setInterval(() => {
  count++;
  tick(count);
  if (ticks !== 0 && count >= ticks) {
    clearInterval(timer);
    process.exitCode = code;
  }
}, 50);
