import { test } from '@playwright/test';
test.describe.serial('one after the other', () => {
    test('breaks', async () => { throw new Error('broken'); });
    test('never runs', async () => {});
});
