import { test } from '@playwright/test';
test('passes the second time', async ({}, info) => {
    if (info.retry < 1) throw new Error('not yet');
});
