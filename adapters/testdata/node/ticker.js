let i = 0;
console.log('first', process.argv.slice(2));
const n = Number(process.argv[2]||'200');
function tick() { const double = i * 2; console.log('tick', i, double); i++; if (i < n) setTimeout(tick, 20); else process.exitCode = Number(process.argv[3]||'0'); }
tick();
