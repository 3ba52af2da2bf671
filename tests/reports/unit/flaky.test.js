import { test } from 'vitest';
let runs = 0;
test('passes the second time', { retry: 2 }, () => {
    runs += 1;
    if (runs < 2) throw new Error('not yet');
});
