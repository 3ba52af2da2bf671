import { expect, test } from 'vitest';
test('adds', async () => {
    Promise.reject(new Error('nobody waits for this'));
    await new Promise((done) => setTimeout(done, 50));
    expect(1 + 1).toBe(2);
});
