import { expect, test } from '@playwright/test';
test('a page shows its price', async ({ page }) => {
    await page.setContent('<h1>Rp 85.000</h1>');
    await expect(page.locator('h1')).toHaveText('Rp 85.000');
});
